//! Walks through the opcodes of a Python pickle and lists the names that it would import. Nothing is built, imported or called.
//!
//! Opcodes and their arguments are those of CPython's `pickletools` (protocols 0 to 5). Names given by `STACK_GLOBAL` lie on the
//! unpickler's stack, which is followed as far as text goes: every other value is only known to be there.

mod allowance;
mod dangerous;
mod imports;
mod names;
mod opcode;
mod rebuilding;
mod standard_library;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use allowance::Allowance;
pub(crate) use imports::{Import, Imports, Sign};
pub(crate) use standard_library::is_standard;
pub(crate) use verdict::{Verdict, judge};

use std::collections::HashMap;

use names::Text;
use opcode::{Argument, Effect, opcode};

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Source, read_exact_at};

/// Values on the stack, or kept by number, that are followed.
const MAX_VALUES: usize = 1 << 20;
/// Pickles one after another in a file; PyTorch's old form has five.
const MAX_PICKLES: usize = 64;
/// Bytes in which the end of a line is looked for at once.
const LINE: usize = 4096;
/// The newest protocol (CPython ([`crate::pins::CPYTHON`]), `pickle.HIGHEST_PROTOCOL`).
const HIGHEST_PROTOCOL: u8 = 5;
/// Steps that reading 64 KiB counts for.
const REFILL: u64 = 1000;

/// Lists the imports of the pickles that stand one after another from `start` to `end`.
///
/// # Errors
/// Only what reading fails with: a pickle that makes no sense ends the list and is told in [`Imports::incomplete`].
pub(crate) fn imports(source: &dyn Source, start: u64, end: u64, allowance: &mut Allowance) -> Result<Imports> {
    let mut found = Imports::default();
    found.end = start;
    // Whether an unpickler comes to the next one.
    let mut reached = true;
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
        let is_one = number == 0 || these.incomplete.is_none() || next.sign() > Sign::None || next.allowance.is_exhausted();
        if !is_one {
            break;
        }
        found.end = next.at;
        if reached {
            found.sign = found.sign.max(next.sign());
        }
        reached &= next.ended;
        found.computed = found.computed.or(these.computed);
        these.list.into_iter().for_each(|import| found.add(import));
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
    /// What was imported, and whether Python could import by that name.
    Import(bool),
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
    /// Places of the marks on the stack.
    marks: Vec<usize>,
    /// Values kept by number; unpicklers keep numbers dense.
    memo: Vec<Value>,
    /// Places of modules and names that were looked up, and whether Python could import by them: the same two again say nothing new.
    looked_up: HashMap<(u64, u64), bool>,
    begins_with_protocol: bool,
    /// Opcodes up to the first at which an unpickler would have stopped, for want of a value or a mark.
    sound: u64,
    /// Whether there was such a one.
    broken: bool,
    ended: bool,
    call: Sign,
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
            marks: Vec::new(),
            memo: Vec::new(),
            looked_up: HashMap::new(),
            begins_with_protocol: false,
            sound: 0,
            broken: false,
            ended: false,
            call: Sign::None,
        }
    }

    /// What speaks for a pickle here.
    fn sign(&self) -> Sign {
        if self.call > Sign::None {
            self.call
        } else if self.ended && !self.looked_up.is_empty() {
            Sign::Ended
        } else if self.begins_with_protocol && (self.ended || self.sound > 2) {
            Sign::Protocol
        } else {
            Sign::None
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
            // Most files that are looked into are no pickles.
            let wide = if self.window.is_empty() { 4096 } else { 64 * 1024 };
            self.window.resize(left.min(wide).max(want), 0);
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
        let start = self.at;
        loop {
            let part = self.peek(LINE)?;
            let (found, len) = (part.iter().position(|b| *b == b'\n'), part.len() as u64);
            if let Some(found) = found {
                self.at += found as u64 + 1;
                return Ok((start, self.at - 1 - start));
            }
            if len < LINE as u64 {
                return Err(self.bad("a line of the pickle has no end"));
            }
            self.at += len;
        }
    }

    fn run(&mut self, out: &mut Imports) -> Result<()> {
        for count in 0u64.. {
            let at = self.at;
            let [byte] = self.bytes()?;
            if count == 0 {
                self.begins_with_protocol = byte == 0x80 && self.peek(1)?.first().is_some_and(|p| *p <= HIGHEST_PROTOCOL);
            }
            let Some((argument, effect)) = opcode(byte) else {
                self.at = at;
                return Err(self.bad(format!("0x{byte:02x} is no opcode")));
            };
            self.step(1)?;
            let argument = self.argument(argument)?;
            self.check(effect);
            if matches!(effect, Effect::Stop) {
                self.ended = !self.broken;
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

    /// Whether an unpickler would go on: CPython's stop where a value or a mark is wanted that is not there.
    fn check(&mut self, effect: Effect) {
        let mark = self.marks.last().copied();
        let above = self.stack.len() - mark.map_or(0, |at| at + 1);
        let (sound, called) = match effect {
            Effect::Stop | Effect::Duplicate | Effect::Put | Effect::Memoize => (above >= 1, None),
            Effect::Pop => (above >= 1 || mark.is_some(), None),
            Effect::PopPush(pop, true) => (above >= usize::from(pop), None),
            Effect::PopPush(pop, false) => (above > usize::from(pop) || pop == 0, None),
            Effect::Call(taken) => (above >= usize::from(taken), self.stack.len().checked_sub(usize::from(taken))),
            Effect::Build => (above >= 2, self.stack.len().checked_sub(2)),
            Effect::PopMark(_) => (mark.is_some(), None),
            Effect::Object => (mark.is_some() && above >= 1, mark.map(|at| at + 1)),
            Effect::StackGlobal => (above >= 2, None),
            Effect::Instance => (mark.is_some(), None),
            Effect::Mark | Effect::Push | Effect::Get | Effect::Global | Effect::Extension => (true, None),
        };
        self.broken |= !sound;
        if self.broken {
            return;
        }
        self.sound += 1;
        if let Some(Value::Import(plain)) = called.and_then(|at| self.stack.get(at)) {
            self.call = self.call.max(if *plain { Sign::Call } else { Sign::OddCall });
        }
    }

    fn apply(&mut self, effect: Effect, given: Given, at: u64, out: &mut Imports) -> Result<()> {
        let number = |walk: &Self| match given {
            Given::Number(n) => Ok(n),
            Given::Text(text) => Ok(names::number(&walk.text(text)?)),
            _ => Ok(0),
        };
        match effect {
            Effect::Stop => {}
            Effect::Mark => {
                self.marks.push(self.stack.len());
                self.stack.push(Value::Mark);
            }
            Effect::Push => self.stack.push(match given {
                Given::Text(text) if text.kind != names::Kind::NoText => Value::Text(text),
                _ => Value::Other,
            }),
            Effect::Pop => self.pop(1),
            Effect::Build => self.pop(1),
            Effect::PopPush(pop, push) => {
                self.pop(pop);
                self.stack.extend(push.then_some(Value::Other));
            }
            Effect::Call(taken) => {
                self.pop(taken);
                self.stack.push(Value::Other);
            }
            Effect::PopMark(push) => {
                self.pop_mark();
                self.stack.extend(push.then_some(Value::Other));
            }
            Effect::Object => {
                self.pop_mark();
                self.stack.push(Value::Other);
            }
            Effect::Duplicate => self.stack.push(self.top()),
            Effect::Get => {
                let kept = usize::try_from(number(self)?).ok().and_then(|n| self.memo.get(n)).copied();
                self.broken |= kept.is_none();
                self.stack.push(kept.unwrap_or(Value::Other));
            }
            Effect::Put => self.keep(number(self)?)?,
            Effect::Memoize => self.keep(self.memo.len() as u64)?,
            Effect::Global => {
                let Given::Global(module, name) = given else { return Ok(()) };
                let plain = self.import(module, name, at, out)?;
                self.stack.push(Value::Import(plain));
            }
            Effect::Instance => {
                let Given::Global(module, name) = given else { return Ok(()) };
                let plain = self.import(module, name, at, out)?;
                if !self.broken {
                    self.call = self.call.max(if plain { Sign::Call } else { Sign::OddCall });
                }
                self.pop_mark();
                self.stack.push(Value::Other);
            }
            Effect::StackGlobal => {
                let [name, module] = [1, 2].map(|n| self.stack.len().checked_sub(n).and_then(|at| self.stack.get(at)).copied());
                self.pop(2);
                let plain = match (module, name) {
                    (Some(Value::Text(module)), Some(Value::Text(name))) => self.import(module, name, at, out)?,
                    _ => {
                        out.computed.get_or_insert(at);
                        out.stop("an import whose name is not written as text", at);
                        true
                    }
                };
                self.stack.push(Value::Import(plain));
            }
            Effect::Extension => {
                out.stop("an import by a number of the extension registry", at);
                self.stack.push(Value::Other);
            }
        }
        Ok(())
    }

    /// The topmost value.
    fn top(&self) -> Value {
        self.stack.last().copied().filter(|value| !matches!(value, Value::Mark)).unwrap_or(Value::Other)
    }

    fn pop(&mut self, values: u8) {
        self.cut_to(self.stack.len().saturating_sub(usize::from(values)));
    }

    fn pop_mark(&mut self) {
        self.cut_to(self.marks.last().copied().unwrap_or(0));
    }

    fn cut_to(&mut self, len: usize) {
        self.stack.truncate(len);
        while self.marks.last().is_some_and(|mark| *mark >= len) {
            self.marks.pop();
        }
    }

    fn keep(&mut self, number: u64) -> Result<()> {
        let index = usize::try_from(number).ok().filter(|i| *i < MAX_VALUES);
        let index = index.ok_or_else(|| self.bad(format!("a value kept under the number {number}")))?;
        if self.memo.len() <= index {
            // A number far ahead makes room for all below it.
            self.step((index - self.memo.len()) as u64)?;
            self.memo.resize(index + 1, Value::Other);
        }
        self.memo[index] = self.top();
        Ok(())
    }

    /// Notes an import, and says whether Python could import by that name.
    fn import(&mut self, module: Text, name: Text, at: u64, out: &mut Imports) -> Result<bool> {
        if !self.allowance.look_up() {
            return Err(self.bad(format!("more than {} imports", allowance::MAX_LOOKUPS)));
        }
        let places = (module.at, name.at);
        if let Some(plain) = self.looked_up.get(&places) {
            return Ok(*plain);
        }
        let cut = module.is_cut() || name.is_cut();
        let (module, name) = (self.text(module)?, self.text(name)?);
        let plain = is_dotted_name(&module) && is_dotted_name(&name);
        self.looked_up.insert(places, plain);
        out.add(Import { module, name, offset: at, cut });
        Ok(plain)
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

/// Names as Python spells them, with points between.
fn is_dotted_name(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_') && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split('.').all(is_name)
}
