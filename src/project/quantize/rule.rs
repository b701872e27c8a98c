//! What a scheme does, and the schemes that a tool has.

use super::context::Context;
use crate::format::Format;
use crate::project::bridge::Origins;
use crate::project::plan::PlanResult;

/// How a scheme turns a checkpoint into another.
pub trait Rule: Sync {
    /// Plans the projected tensors and files.
    ///
    /// # Errors
    /// The reason why the tool would refuse, or why its result is not known.
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a>;

    /// What the planned tensors are made of, in their order, where the plan renames, stacks or splits.
    fn with_origins(&self, _context: &Context<'_, '_>, row: &mut dyn FnMut(Option<&Origins>)) {
        row(None);
    }

    /// The same scheme with groups of another size.
    ///
    /// # Errors
    /// That there are no groups to choose, or none of this size.
    fn regrouped(&self, _size: u64) -> Result<Regrouped, GroupRefusal> {
        Err(GroupRefusal::NoGroups)
    }

    /// The rule that decided a tensor's type, in words; `None` where the scheme cannot tell.
    fn explain(&self, _context: &Context<'_, '_>, _tensor: &str) -> Option<String> {
        None
    }
}

/// A scheme after its group size was chosen.
pub struct Regrouped {
    /// Name that reads back as the same scheme.
    pub name: String,
    /// Rule with the chosen group size.
    pub rule: Box<dyn Rule>,
}

impl Regrouped {
    /// Makes one from its name and rule.
    pub(super) fn new(name: String, rule: impl Rule + 'static) -> Self {
        Self { name, rule: Box::new(rule) }
    }
}

/// Why a scheme cannot have groups of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRefusal {
    /// The scheme has no groups, or their size is fixed.
    NoGroups,
    /// Its tool has no groups of this size.
    Size,
}

/// The schemes of one tool.
pub struct Schemes {
    /// The format they are stored in.
    pub container: Format,
    /// Names that are listed, in order; [`Schemes::parse`] reads them all, and others that are made of the same parts.
    pub names: &'static [&'static str],
    /// Other spellings that users may write, each with the name it stands for.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Reads a canonical name as a rule.
    pub parse: fn(&str) -> Option<Box<dyn Rule>>,
}

/// One name of the list, with its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The format it is stored in.
    pub container: Format,
    /// Name as its tool spells it.
    pub name: &'static str,
}
