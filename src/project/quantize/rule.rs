//! A scheme and its rule.

use super::context::Context;
use crate::format::Format;
use crate::project::bridge::Origins;
use crate::project::plan::PlanResult;

/// How a scheme turns a checkpoint into another.
pub trait Rule: Sync {
    /// The projected tensors and files.
    ///
    /// # Errors
    /// The reason why the tool would refuse, or why its result is not known.
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a>;

    /// What the planned tensors are made of, in their order, where the plan renames, stacks or splits.
    fn with_origins(&self, _context: &Context<'_, '_>, row: &mut dyn FnMut(Option<&Origins>)) {
        row(None);
    }

    /// The rule that decided a tensor's type, in words; `None` where the scheme cannot tell.
    fn explain(&self, _context: &Context<'_, '_>, _tensor: &str) -> Option<String> {
        None
    }
}

/// A row of the registry.
pub struct Scheme {
    /// Canonical name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// The format it is stored in.
    pub container: Format,
    /// The tool that writes it, with the version the rule was read from.
    pub tool: &'static str,
    /// How.
    pub rule: &'static dyn Rule,
}
