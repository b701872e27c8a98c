//! Tokenizers of SentencePiece: the pieces, with added tokens laid over them.

use super::hparams::{Hparams, whole};
use super::keys::Keys;
use super::special_tokens;
use super::vocab::{Pre, Tokens, decoder, header, looks_special, needs, without_word_marks};
use crate::checkpoint::HfFolder;
use crate::checkpoint::sidecar::SentencePiece;

fn set_pieces(tokens: &mut Tokens, model: &SentencePiece) {
    for (id, piece) in model.pieces.iter().enumerate() {
        tokens.set(id as u64, piece.bytes);
    }
}

pub(super) fn vocab_size(hparams: &Hparams, model: &SentencePiece) -> u64 {
    let stated = hparams.find(&["vocab_size_per_layer_input", "vocab_size"]).and_then(whole).filter(|&n| n > 0);
    stated.unwrap_or(model.pieces.len() as u64)
}

pub(super) fn sentence_piece(keys: &mut Keys, folder: &HfFolder, hparams: &Hparams) -> Result<(), String> {
    let model = needs(&folder.sentence_piece, "tokenizer.model")?;
    let mut tokens = Tokens::new(vocab_size(hparams, model))?;
    set_pieces(&mut tokens, model);
    for token in &folder.added_tokens {
        tokens.set(token.id, token.content.len() as u64);
    }
    for (id, text, special) in decoder(folder) {
        let control = special || looks_special(&text);
        tokens.set(id, if control { text.len() as u64 } else { without_word_marks(&text) });
    }
    header(keys, "llama", Some("default"));
    tokens.write(keys, true);
    special_tokens::add(keys, folder, false, Some(tokens.size))
}

/// As [`sentence_piece`], with the added tokens of tokenizer.json laid over it and no marks taken out.
pub(super) fn phi3_tokens(keys: &mut Keys, folder: &HfFolder, hparams: &Hparams) -> Result<(), String> {
    let model = needs(&folder.sentence_piece, "tokenizer.model")?;
    let mut tokens = Tokens::new(hparams.count("vocab_size").unwrap_or(model.pieces.len() as u64))?;
    set_pieces(&mut tokens, model);
    for token in &folder.added_tokens {
        tokens.set(token.id, token.content.len() as u64);
    }
    let late = decoder(folder).into_iter().map(|(id, text, _)| (id, text));
    let later = folder.tokenizer.iter().flat_map(|t| &t.added).map(|t| (t.id, t.content.clone()));
    for (id, text) in late.chain(later) {
        if id >= tokens.size {
            return Err(format!("added token {id} lies beyond vocab_size {}: the converter stops", tokens.size));
        }
        tokens.set(id, text.len() as u64);
    }
    header(keys, "llama", Some("default"));
    tokens.write(keys, true);
    special_tokens::add(keys, folder, false, Some(tokens.size))
}

pub(super) fn t5(keys: &mut Keys, folder: &HfFolder, hparams: &Hparams) -> Result<Pre, String> {
    if folder.sentence_piece.as_ref().is_some_and(|m| m.model_type == 2) {
        sentence_piece(keys, folder, hparams)?;
        return Ok(Pre::Known);
    }
    let model = folder.sentence_piece.as_ref().or(folder.spiece.as_ref()).ok_or("there is no spiece.model: the converter stops")?;
    if model.model_type != 1 {
        return Err("spiece.model is no unigram model: the converter stops".to_owned());
    }
    let mut tokens = Tokens::new(hparams.count("vocab_size").unwrap_or(model.pieces.len() as u64))?;
    set_pieces(&mut tokens, model);
    for token in &folder.added_tokens {
        tokens.set(token.id, token.content.len() as u64);
    }
    header(keys, "t5", Some("default"));
    tokens.write(keys, true);
    keys.flag("tokenizer.ggml.add_space_prefix");
    keys.flag("tokenizer.ggml.remove_extra_whitespaces");
    keys.array("tokenizer.ggml.precompiled_charsmap", model.charsmap_bytes, model.charsmap_bytes);
    special_tokens::add(keys, folder, false, Some(tokens.size))?;
    Ok(Pre::Known)
}
