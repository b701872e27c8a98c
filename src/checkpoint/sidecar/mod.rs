//! What lies beside the weights of a Hugging Face folder: tokenizer, chat templates, generation defaults, pooling, model card.
//!
//! Bounded facts only: every file is read up to a stated limit, as data. Nothing is executed and no template is rendered.

mod card;
mod folder;
mod sentencepiece;
mod tokenizer_json;
mod vocabulary;
mod word_list;

pub use card::front_matter;
pub use folder::{ChatTemplate, HfFolder, Pooling};
pub use sentencepiece::{Piece, PieceKind, SentencePiece};
pub use tokenizer_json::{AddedToken, Merges, TokenizerJson};
pub use vocabulary::{Vocabulary, read_vocabulary};
