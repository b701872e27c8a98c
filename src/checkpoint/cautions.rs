//! What a reader of a checkpoint's figures should know: they are of one of several models, or of a model in slices.

use super::{Against, Checkpoint, Ranks, WeightSet};
use crate::text::escape_limited;

/// Weight sets that get a remark each; the others are counted.
const REMARKED: usize = 6;

impl Checkpoint {
    /// Remarks that belong beside any figures: that other weights of the same names were left out, or that the model is stored in
    /// slices; escaped.
    pub fn cautions(&self) -> Vec<String> {
        let slices = self.slices().map(Ranks::note);
        let others = self.compared_sets().filter(|(_, against)| against.likeness.is_different());
        slices.chain(others.map(|(set, against)| beside(set, against)).take(REMARKED)).collect()
    }

    /// The same with a remark for every weight set that was compared with another, copies too; escaped.
    pub(crate) fn choices(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.slices().map(Ranks::note).collect();
        notes.extend(self.compared_sets().take(REMARKED).map(|(set, against)| beside(set, against)));
        let rest = self.compared_sets().count().saturating_sub(REMARKED);
        if rest > 0 {
            notes.push(format!("{rest} more weight sets of the same names: see --format json"));
        }
        notes
    }

    fn compared_sets(&self) -> impl Iterator<Item = (&WeightSet, &Against)> {
        self.components.iter().flat_map(|c| &c.weight_sets).filter_map(|set| Some((set, set.against.as_ref()?)))
    }
}

/// A weight set, the one that it may be taken for, and what is known of both.
fn beside(set: &WeightSet, against: &Against) -> String {
    let name = |name: &str| format!("`{}`", escape_limited(name, 60));
    let counts = if set.selected {
        "; both are in the totals"
    } else if against.likeness.is_different() {
        "; it is not in the totals"
    } else {
        ""
    };
    format!("{} beside {}: {}{counts}", name(&set.name), name(&against.other), against.likeness)
}
