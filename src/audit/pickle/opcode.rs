//! The opcodes of pickles, protocols 0 to 5, as CPython's `pickletools` describes them: what follows each, and what it does to the
//! stack.

use super::names::Kind;

/// What stands behind an opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// Nothing.
    None,
    /// A little-endian number of this many bytes, or this many bytes that do not matter.
    Fixed(u8),
    /// A length field of this many bytes, and as many bytes as it says.
    Counted(u8, Kind),
    /// A line of text.
    Line(Kind),
    /// Two lines: module and name.
    TwoLines,
}

/// What an opcode does to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ends the pickle.
    Stop,
    /// Pushes a mark.
    Mark,
    /// Pushes its argument.
    Push,
    /// Drops the topmost value or mark.
    Pop,
    /// Takes this many values, and may push one; where it pushes none, what lies below is changed.
    PopPush(u8, bool),
    /// Takes this many values, calls the lowest with the others and pushes what comes of it.
    Call(u8),
    /// Gives the value below the topmost one its state.
    Build,
    /// Calls what lies above the last mark with all above that.
    Object,
    /// Takes everything down to the last mark, and may push one.
    PopMark(bool),
    /// Pushes the topmost value again.
    Duplicate,
    /// Pushes the value kept under a number.
    Get,
    /// Keeps the topmost value under a number.
    Put,
    /// Keeps the topmost value under the next number.
    Memoize,
    /// Imports what the argument names.
    Global,
    /// Imports what the argument names and calls it with everything down to the last mark.
    Instance,
    /// Imports what the two topmost values name.
    StackGlobal,
    /// Imports what a registry holds under a number.
    Extension,
}

/// An opcode by its byte; `None` where there is none.
pub(super) fn opcode(byte: u8) -> Option<(Argument, Effect)> {
    use Argument::{Counted, Fixed, Line, TwoLines};
    use Effect::{PopMark, PopPush, Push};
    use Kind::{Escaped, NoText, Plain, Quoted};
    const NONE: Argument = Argument::None;
    Some(match byte {
        b'(' => (NONE, Effect::Mark),
        b'.' => (NONE, Effect::Stop),
        b'0' => (NONE, Effect::Pop),
        b'1' => (NONE, PopMark(false)),
        b'2' => (NONE, Effect::Duplicate),
        b'F' | b'I' | b'L' | b'P' => (Line(NoText), Push),
        b'J' => (Fixed(4), Push),
        b'K' => (Fixed(1), Push),
        b'M' => (Fixed(2), Push),
        b'G' => (Fixed(8), Push),
        b'N' | b'}' | b']' | b')' | 0x88 | 0x89 | 0x8f | 0x97 => (NONE, Push),
        b'Q' | 0x85 | 0x98 => (NONE, PopPush(1, true)),
        0x86 => (NONE, PopPush(2, true)),
        0x87 => (NONE, PopPush(3, true)),
        b'R' | 0x81 => (NONE, Effect::Call(2)),
        0x92 => (NONE, Effect::Call(3)),
        b'S' => (Line(Quoted), Push),
        b'V' => (Line(Escaped), Push),
        b'T' | b'X' => (Counted(4, Plain), Push),
        b'U' | 0x8c => (Counted(1, Plain), Push),
        0x8d => (Counted(8, Plain), Push),
        b'B' | 0x8b => (Counted(4, NoText), Push),
        b'C' | 0x8a => (Counted(1, NoText), Push),
        0x8e | 0x96 => (Counted(8, NoText), Push),
        b'a' => (NONE, PopPush(1, false)),
        b'b' => (NONE, Effect::Build),
        b's' => (NONE, PopPush(2, false)),
        b'e' | b'u' | 0x90 => (NONE, PopMark(false)),
        b'd' | b'l' | b't' | 0x91 => (NONE, PopMark(true)),
        b'o' => (NONE, Effect::Object),
        b'c' => (TwoLines, Effect::Global),
        b'i' => (TwoLines, Effect::Instance),
        0x93 => (NONE, Effect::StackGlobal),
        0x82 => (Fixed(1), Effect::Extension),
        0x83 => (Fixed(2), Effect::Extension),
        0x84 => (Fixed(4), Effect::Extension),
        b'g' => (Line(Plain), Effect::Get),
        b'h' => (Fixed(1), Effect::Get),
        b'j' => (Fixed(4), Effect::Get),
        b'p' => (Line(Plain), Effect::Put),
        b'q' => (Fixed(1), Effect::Put),
        b'r' => (Fixed(4), Effect::Put),
        0x94 => (NONE, Effect::Memoize),
        0x80 => (Fixed(1), PopPush(0, false)),
        0x95 => (Fixed(8), PopPush(0, false)),
        _ => return None,
    })
}
