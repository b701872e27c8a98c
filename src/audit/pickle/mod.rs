//! Walks through the opcodes of a Python pickle and lists the names that it would import. Nothing is built, imported or called.
//!
//! Opcodes and their arguments are those of CPython's `pickletools` (protocols 0 to 5). Names given by `STACK_GLOBAL` lie on the
//! unpickler's stack, which is followed as far as text goes: every other value is only known to be there.

mod allowance;
mod dangerous;
mod names;
mod opcode;
#[cfg(test)]
mod tests;

pub(crate) use allowance::Allowance;
pub(crate) use dangerous::danger;

use std::collections::HashSet;

use names::Text;
use opcode::{Argument, Effect, opcode};

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Source, read_exact_at};

/// Values on the stack, or kept by number, that are followed.
const MAX_VALUES: usize = 1 << 20;
/// Different imports that are kept.
const MAX_IMPORTS: usize = 1000;
/// Pickles one after another in a file; PyTorch's old form has five.
const MAX_PICKLES: usize = 64;
/// Longest line that is an argument.
const MAX_LINE: usize = 4096;
/// Steps that reading 64 KiB counts for.
const REFILL: u64 = 1000;

/// A name that a pickle imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// The module, not escaped.
    pub(crate) module: String,
    /// What is taken of it; may have dots.
    pub(crate) name: String,
    /// Byte offset of the opcode in the pickle.
    pub(crate) offset: u64,
}

/// A function or class that a pickle imports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Imports {
    /// Different ones, in the order of their first place.
    pub(crate) list: Vec<Import>,
    /// Why and where the list is not the whole: text and byte.
    pub(crate) incomplete: Option<(String, u64)>,
    /// Where the last pickle ends.
    pub(crate) end: u64,
    /// What is in the list.
    known: HashSet<(String, String)>,
}

impl Imports {
    fn stop(&mut self, why: impl Into<String>, at: u64) {
        self.incomplete.get_or_insert((why.into(), at));
    }

    fn add(&mut self, module: String, name: String, offset: u64) {
        let pair = (module, name);
        if self.known.contains(&pair) {
            return;
        }
        if self.list.len() == MAX_IMPORTS {
            return self.stop(format!("more than {MAX_IMPORTS} different imports"), offset);
        }
        let (module, name) = pair.clone();
        self.known.insert(pair);
        self.list.push(Import { module, name, offset });
    }
}

/// Lists the imports of the pickles that stand one after another from `start` to `end`.
///
/// # Errors
/// Only what reading fails with: a pickle that makes no sense ends the list and is told in [`Imports::incomplete`].
pub(crate) fn imports(source: &dyn Source, start: u64, end: u64, allowance: &mut Allowance) -> Result<Imports> {
    let mut found = Imports { end: start, ..Imports::default() };
    for number in 0.. {
        if number == MAX_PICKLES {
            found.stop(format!("more than {MAX_PICKLES} pickles one after another"), found.end);
            break;
        }
        let mut next = Walk::new(source, found.end, end, allowance);
        let mut these = Imports::default();
        match next.run(&mut these) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(error) => these.stop(error.message().to_owned(), error.offset().unwrap_or(next.at)),
        }
        // What follows a pickle need not be one: PyTorch's old form ends in raw numbers.
        let is_one = number == 0
            || these.incomplete.is_none()
            || (next.begins_with_protocol && !these.list.is_empty())
            || next.allowance.is_exhausted();
        if !is_one {
            break;
        }
        found.end = next.at;
        these.list.into_iter().for_each(|i| found.add(i.module, i.name, i.offset));
        if let Some((why, at)) = these.incomplete {
            found.stop(why, at);
            break;
        }
        if found.end >= end {
            break;
        }
    }
    Ok(found)
}

/// What is known of a value on the unpickler's stack.
#[derive(Debug, Clone, Copy)]
enum Value {
    Mark,
    Text(Text),
    Other,
}

struct Walk<'s> {
    source: &'s dyn Source,
    allowance: &'s mut Allowance,
    end: u64,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    stack: Vec<Value>,
    /// Values kept by number; unpicklers keep numbers dense.
    memo: Vec<Value>,
    /// Places of modules and names that were looked up: the same two again say nothing new.
    looked_up: HashSet<(u64, u64)>,
    begins_with_protocol: bool,
}

impl<'s> Walk<'s> {
    fn new(source: &'s dyn Source, start: u64, end: u64, allowance: &'s mut Allowance) -> Self {
        Self {
            source,
            allowance,
            end,
            at: start,
            window: Vec::new(),
            window_at: start,
            stack: Vec::new(),
            memo: Vec::new(),
            looked_up: HashSet::new(),
            begins_with_protocol: false,
        }
    }

    fn bad(&self, what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Malformed, what).at(self.at)
    }

    /// The next bytes, as many as are wanted and there, without moving on.
    fn peek(&mut self, want: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = want.min(left);
        let inside =
            |walk: &Self| usize::try_from(walk.at.wrapping_sub(walk.window_at)).ok().filter(|o| o + want <= walk.window.len());
        if inside(self).is_none() {
            self.step(REFILL)?;
            self.window.resize(left.min(64 * 1024).max(want), 0);
            self.window_at = self.at;
            read_exact_at(self.source, self.at, &mut self.window)?;
        }
        let from = inside(self).unwrap_or(0);
        Ok(&self.window[from..from + want])
    }

    /// Takes so many steps of what may be followed.
    fn step(&mut self, steps: u64) -> Result<()> {
        if self.allowance.step(steps) { Ok(()) } else { Err(self.bad(allowance::EXHAUSTED)) }
    }

    /// The first bytes of a text, from the window where they lie in it.
    fn text(&self, text: Text) -> Result<String> {
        let offset = text.at.checked_sub(self.window_at).and_then(|o| usize::try_from(o).ok());
        let known = offset.and_then(|o| self.window.get(o..o + text.kept()));
        known.map_or_else(|| text.read(self.source), |bytes| Ok(text.decode(bytes)))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes: [u8; N] = self.peek(N)?.try_into().map_err(|_| self.bad("the pickle ends in the middle of an opcode"))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn skip(&mut self, bytes: u64) -> Result<u64> {
        let start = self.at;
        let to = start.checked_add(bytes).filter(|to| *to <= self.end);
        self.at = to.ok_or_else(|| self.bad(format!("the pickle ends before the {bytes} bytes that an opcode announces")))?;
        Ok(start)
    }

    /// A line, without its end.
    fn line(&mut self) -> Result<(u64, u64)> {
        let line = self.peek(MAX_LINE)?;
        let len = line.iter().position(|b| *b == b'\n').ok_or_else(|| self.bad("a line of the pickle has no end"))? as u64;
        Ok((self.skip(len + 1)?, len))
    }

    fn run(&mut self, out: &mut Imports) -> Result<()> {
        for count in 0u64.. {
            let at = self.at;
            let [byte] = self.bytes()?;
            if count == 0 {
                self.begins_with_protocol = byte == 0x80;
            }
            let Some((argument, effect)) = opcode(byte) else {
                self.at = at;
                return Err(self.bad(format!("0x{byte:02x} is no opcode")));
            };
            self.step(1)?;
            let argument = self.argument(argument)?;
            if matches!(effect, Effect::Stop) {
                return Ok(());
            }
            self.apply(effect, argument, at, out)?;
            if self.stack.len() > MAX_VALUES || self.memo.len() > MAX_VALUES {
                return Err(self.bad(format!("more than {MAX_VALUES} values at once")));
            }
        }
        Ok(())
    }

    fn argument(&mut self, argument: Argument) -> Result<Given> {
        Ok(match argument {
            Argument::None => Given::Nothing,
            Argument::Fixed(bytes) => {
                let mut number = [0; 8];
                let given = self.peek(usize::from(bytes))?;
                number[..given.len()].copy_from_slice(given);
                self.skip(u64::from(bytes))?;
                Given::Number(u64::from_le_bytes(number))
            }
            Argument::Counted(1, kind) => {
                let [len] = self.bytes()?;
                Given::Text(Text { at: self.skip(u64::from(len))?, len: u64::from(len), kind })
            }
            Argument::Counted(4, kind) => {
                let len = u64::from(u32::from_le_bytes(self.bytes()?));
                Given::Text(Text { at: self.skip(len)?, len, kind })
            }
            Argument::Counted(_, kind) => {
                let len = u64::from_le_bytes(self.bytes()?);
                Given::Text(Text { at: self.skip(len)?, len, kind })
            }
            Argument::Line(kind) => {
                let (at, len) = self.line()?;
                Given::Text(Text { at, len, kind })
            }
            Argument::TwoLines => {
                let ((module_at, module_len), (at, len)) = (self.line()?, self.line()?);
                let text = |at, len| Text { at, len, kind: names::Kind::Plain };
                Given::Global(text(module_at, module_len), text(at, len))
            }
        })
    }

    fn apply(&mut self, effect: Effect, given: Given, at: u64, out: &mut Imports) -> Result<()> {
        let number = |walk: &Self| match given {
            Given::Number(n) => Ok(n),
            Given::Text(text) => Ok(names::number(&walk.text(text)?)),
            _ => Ok(0),
        };
        match effect {
            Effect::Stop => {}
            Effect::Mark => self.stack.push(Value::Mark),
            Effect::Push => self.stack.push(match given {
                Given::Text(text) if text.kind != names::Kind::NoText => Value::Text(text),
                _ => Value::Other,
            }),
            Effect::PopPush(pop, push) => {
                self.stack.truncate(self.stack.len().saturating_sub(usize::from(pop)));
                self.stack.extend(push.then_some(Value::Other));
            }
            Effect::PopMark(push) => {
                self.pop_mark();
                self.stack.extend(push.then_some(Value::Other));
            }
            Effect::Duplicate => self.stack.extend(self.stack.last().copied()),
            Effect::Get => {
                let kept = usize::try_from(number(self)?).ok().and_then(|n| self.memo.get(n)).copied();
                self.stack.push(kept.unwrap_or(Value::Other));
            }
            Effect::Put => self.keep(number(self)?)?,
            Effect::Memoize => self.keep(self.memo.len() as u64)?,
            Effect::Global => {
                if let Given::Global(module, name) = given {
                    self.import(module, name, at, out)?;
                }
                self.stack.push(Value::Other);
            }
            Effect::Instance => {
                if let Given::Global(module, name) = given {
                    self.import(module, name, at, out)?;
                }
                self.pop_mark();
                self.stack.push(Value::Other);
            }
            Effect::StackGlobal => {
                let (name, module) = (self.stack.pop(), self.stack.pop());
                match (module, name) {
                    (Some(Value::Text(module)), Some(Value::Text(name))) => self.import(module, name, at, out)?,
                    _ => out.stop("an import whose name is not written as text", at),
                }
                self.stack.push(Value::Other);
            }
            Effect::Extension => {
                out.stop("an import by a number of the extension registry", at);
                self.stack.push(Value::Other);
            }
        }
        Ok(())
    }

    fn pop_mark(&mut self) {
        let mark = self.stack.iter().rposition(|v| matches!(v, Value::Mark)).unwrap_or(0);
        self.stack.truncate(mark);
    }

    fn keep(&mut self, number: u64) -> Result<()> {
        let index = usize::try_from(number).ok().filter(|i| *i < MAX_VALUES);
        let index = index.ok_or_else(|| self.bad(format!("a value kept under the number {number}")))?;
        if self.memo.len() <= index {
            // A number far ahead makes room for all below it.
            self.step((index - self.memo.len()) as u64)?;
            self.memo.resize(index + 1, Value::Other);
        }
        self.memo[index] = self.stack.last().copied().unwrap_or(Value::Other);
        Ok(())
    }

    fn import(&mut self, module: Text, name: Text, at: u64, out: &mut Imports) -> Result<()> {
        if !self.allowance.look_up() {
            return Err(self.bad(format!("more than {} imports", allowance::MAX_LOOKUPS)));
        }
        if self.looked_up.insert((module.at, name.at)) {
            out.add(self.text(module)?, self.text(name)?, at);
        }
        Ok(())
    }
}

/// The argument of an opcode, as it stands there.
#[derive(Debug, Clone, Copy)]
enum Given {
    Nothing,
    Number(u64),
    Text(Text),
    Global(Text, Text),
}
