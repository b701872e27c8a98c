//! Whether it fits a budget, and how far context and sequences could grow.
//!
//! [`judge`] alone decides: a [`Demand`] (what devices and host hold) against a [`Room`] (what may be used of them). Rows of engines
//! and of recipes are made into the one, budgets and limits into the other.

mod demand;
mod engine;
mod lever;
mod row;
mod search;
mod training;
mod verdict;

pub(super) use engine::row;
pub use lever::FittingScheme;
pub use row::FitRow;
pub(super) use training::{TrainingRun, row as training_row};
pub use verdict::{Demand, Held, Judgement, Room, Verdict, judge};
