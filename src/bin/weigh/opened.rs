//! What every command says of the checkpoint that it opened.

use weighbridge::checkpoint::Checkpoint;

use crate::outcome::Outcome;
use crate::output::warn;

/// How a command ends that could read no more than this of a checkpoint.
pub(crate) fn outcome_of(checkpoint: &Checkpoint) -> Outcome {
    if checkpoint.is_read_whole() { Outcome::Done } else { Outcome::Incomplete }
}

/// Prints on stderr what could not be read, for outputs that a person does not read.
pub(crate) fn warn_of_problems(checkpoint: &Checkpoint) {
    for problem in &checkpoint.problems {
        warn(&problem.to_string());
    }
}
