//! What went into register allocation and what came out, as JSON: the bridge's side of the shim (`recorded.rs`, `damage.rs`).
//!
//! Wants: ALLOCATION, and ALLOCATION_TEXT for the instructions as text with virtual registers. Behind the other numbers of a
//! `C` request then stand the damage's seed, the length of its kind (0: none) and the kind.
//! `"allocation"` is a list; `capture.py` reads it in the same order:
//!   environment, classes (two hex digits a virtual register), blocks, operands, places, clobbers [inst, text], returns,
//!   branches, edits (flat: inst, position, source, target), slots, slot sizes,
//!   code offsets or null (flat: start and end of each instruction; then of each edit), algorithm, damage, text lines,
//!   the size of each stack slot, the calling convention

#[path = "damage.rs"]
mod damage;
#[path = "recorded.rs"]
mod recorded;

use crate::json;
use crate::panics::Panic;
use damage::Damage;
use recorded::Captured;
use cranelift_codegen::ir::Function;
use cranelift_codegen::CompiledCode;
use log::{LevelFilter, Record};
use regalloc2::tap::{self, Request};
use regalloc2::{Answer, MachineEnv};
use std::cell::RefCell;
use std::fmt::Write;

const ALLOCATION: u32 = 128;
const ALLOCATION_TEXT: u32 = 256;

#[derive(Default)]
pub struct Wanted {
    on: bool,
    text: bool,
    damage: Option<Damage>,
}

impl Wanted {
    /// What is wanted, and the text behind it.
    pub fn parse(wants: u32, rest: &[u8]) -> Option<(Self, &[u8])> {
        if wants & ALLOCATION == 0 {
            return Some((Self::default(), rest));
        }
        let (seed, rest) = rest.split_at_checked(4)?;
        let (length, rest) = rest.split_at_checked(4)?;
        let (kind, rest) = rest.split_at_checked(u32::from_le_bytes(length.try_into().unwrap()) as usize)?;
        let kind = std::str::from_utf8(kind).ok()?.to_string();
        let seed = u32::from_le_bytes(seed.try_into().unwrap());
        let damage = (!kind.is_empty()).then_some(Damage { kind, seed });
        Some((Self { on: true, text: wants & ALLOCATION_TEXT != 0, damage }, rest))
    }
}

thread_local! {
    static DAMAGE: RefCell<Option<Damage>> = const { RefCell::new(None) };
    static CAPTURED: RefCell<Option<Captured>> = const { RefCell::new(None) };
    /// What was damaged, even if nothing came of it.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The text of the function that is being compiled, while it is waited for.
    static TEXT: RefCell<Option<String>> = const { RefCell::new(None) };
    static LEVEL: RefCell<Option<LevelFilter>> = const { RefCell::new(None) };
}

/// Before compiling.
pub fn begin(function: &mut Function, wanted: &Wanted) {
    TEXT.with(|text| *text.borrow_mut() = None);
    CAPTURED.with(|captured| *captured.borrow_mut() = None);
    SAID.with(|said| *said.borrow_mut() = None);
    if !wanted.on {
        tap::ask(None);
        return;
    }
    DAMAGE.with(|damage| damage.borrow_mut().clone_from(&wanted.damage));
    tap::ask(Some(Request { watch, markers: mark(function) }));
    if wanted.text {
        LEVEL.with(|level| *level.borrow_mut() = Some(log::max_level()));
        log::set_max_level(LevelFilter::Trace);
    }
}

fn watch(function: &dyn regalloc2::Function, env: &MachineEnv, algorithm: &'static str, answer: &mut Answer) {
    let mut captured = Captured::input(function, env, algorithm);
    DAMAGE.with(|damage| {
        if let Some(wanted) = &*damage.borrow() {
            let words = damage::apply(wanted, function, env, answer);
            SAID.with(|said| *said.borrow_mut() = Some(words));
        }
    });
    captured.output(function, answer);
    CAPTURED.with(|cell| *cell.borrow_mut() = Some(captured));
}

/// After compiling, however it went.
pub fn end() {
    quiet();
    tap::ask(None);
}

fn quiet() {
    if let Some(level) = LEVEL.with(|level| level.borrow_mut().take()) {
        log::set_max_level(level);
    }
}

/// A damaged allocation may make the compiler panic: then the message says so.
pub fn explain(mut panic: Panic) -> Panic {
    if let Some(damage) = SAID.with(|said| said.borrow_mut().take()) {
        write!(panic.message, "\n[damage: {damage}]").unwrap();
    }
    panic
}

pub fn log(record: &Record) {
    if record.target() != "cranelift_codegen::machinst::compile" || LEVEL.with(|level| level.borrow().is_none()) {
        return;
    }
    let words = record.args().to_string();
    if words.starts_with("vcode from lowering") {
        TEXT.with(|text| *text.borrow_mut() = Some(words));
        quiet();
    }
}

/// The first of the tags that the markers bear.
#[cfg(cl127)]
const TAG: u32 = 0x6c69_6600;

/// Puts markers at the entry: instructions that emit no byte, at which the code offset is noted.
#[cfg(cl127)]
fn mark(function: &mut Function) -> bool {
    use cranelift_codegen::cursor::{Cursor, FuncCursor};
    use cranelift_codegen::ir::{DebugTag, InstBuilder};
    let Some(entry) = function.layout.entry_block() else { return false };
    let mut cursor = FuncCursor::new(function).at_first_insertion_point(entry);
    for number in 0..MARKERS {
        let inst = cursor.ins().sequence_point();
        cursor.func.debug_tags.set(inst, [DebugTag::User(TAG + number)]);
    }
    true
}

#[cfg(cl127)]
const MARKERS: u32 = 4;

#[cfg(not(cl127))]
fn mark(_: &mut Function) -> bool {
    false
}

pub fn write(out: &mut String, compiled: &CompiledCode, function: &Function) {
    let Some(captured) = CAPTURED.with(|cell| cell.borrow_mut().take()) else { return };
    json::key(out, "allocation");
    out.push('[');
    json::string(out, &captured.environment);
    out.push_str(",\"");
    for class in &captured.classes {
        out.push('0');
        out.push((b'0' + class) as char);
    }
    out.push_str("\",");
    blocks(out, &captured);
    instructions(out, &captured);
    edits(out, &captured);
    offsets(out, &captured, compiled);
    write!(out, ",\"{}\",", captured.algorithm).unwrap();
    match SAID.with(|said| said.borrow_mut().take()) {
        Some(words) => json::string(out, &words),
        None => out.push_str("null"),
    }
    out.push(',');
    text(out, &captured);
    out.push(',');
    json::array(out, function.sized_stack_slots.values(), |out, slot| write!(out, "{}", slot.size).unwrap());
    write!(out, ",\"{}\"]", function.signature.call_conv).unwrap();
}

fn numbers<T: TryInto<i64>>(out: &mut String, list: impl IntoIterator<Item = T>) {
    json::array(out, list, |out, number| push(out, number.try_into().unwrap_or_default()));
}

/// A number's digits: there are so many numbers that formatting them would take half the time.
fn push(out: &mut String, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits"));
}

fn blocks(out: &mut String, captured: &Captured) {
    json::array(out, &captured.blocks, |out, block| {
        write!(out, "[{},{},", block.first, block.end).unwrap();
        numbers(out, block.parameters.iter().copied());
        out.push(',');
        numbers(out, block.successors.iter().copied());
        out.push(',');
        json::array(out, &block.arguments, |out, arguments| numbers(out, arguments.iter().copied()));
        out.push(',');
        numbers(out, block.predecessors.iter().copied());
        out.push(']');
    });
    out.push(',');
}

fn instructions(out: &mut String, captured: &Captured) {
    json::array(out, &captured.insts, |out, inst| numbers(out, inst.operands.iter().copied()));
    out.push(',');
    json::array(out, &captured.insts, |out, inst| numbers(out, inst.places.iter().copied()));
    out.push(',');
    let all = || captured.insts.iter().enumerate();
    json::array(out, all().filter(|(_, inst)| !inst.clobbers.is_empty()), |out, (number, inst)| {
        let registers: Vec<String> = inst.clobbers.iter().map(usize::to_string).collect();
        write!(out, "[{number},\"{}\"]", registers.join(",")).unwrap();
    });
    out.push(',');
    numbers(out, all().filter(|(_, inst)| inst.is_return).map(|(number, _)| number));
    out.push(',');
    numbers(out, all().filter(|(_, inst)| inst.is_branch).map(|(number, _)| number));
    out.push(',');
}

fn edits(out: &mut String, captured: &Captured) {
    let flat = captured.edits.iter().flat_map(|e| [e.inst as i64, e.position as i64, e.source, e.target]);
    numbers(out, flat);
    write!(out, ",{},", captured.slots).unwrap();
    numbers(out, captured.slot_sizes);
    out.push(',');
}

#[cfg(not(cl127))]
fn offsets(out: &mut String, _: &Captured, _: &CompiledCode) {
    out.push_str("null,null");
}

#[cfg(cl127)]
fn offsets(out: &mut String, captured: &Captured, compiled: &CompiledCode) {
    let mut insts = vec![0; 2 * captured.insts.len()];
    let mut edits = vec![0; 2 * captured.edits.len()];
    let mut next_edit = 0;
    for (block, bounds) in captured.blocks.iter().zip(bounds(captured, compiled)) {
        let mut at = 0;
        let mut take = |into: &mut [u32]| {
            into.copy_from_slice(&bounds[at..at + 2]);
            at += 1;
        };
        for number in block.first..block.end {
            while is_at(captured, next_edit, number, 0) {
                take(&mut edits[2 * next_edit..2 * next_edit + 2]);
                next_edit += 1;
            }
            take(&mut insts[2 * number..2 * number + 2]);
            while is_at(captured, next_edit, number, 1) && number + 1 < block.end {
                take(&mut edits[2 * next_edit..2 * next_edit + 2]);
                next_edit += 1;
            }
        }
        // What stands after a block's last instruction is never emitted.
        next_edit += captured.edits[next_edit..].iter().take_while(|edit| edit.inst < block.end).count();
    }
    numbers(out, insts);
    out.push(',');
    numbers(out, edits);
}

#[cfg(cl127)]
fn is_at(captured: &Captured, edit: usize, inst: usize, position: usize) -> bool {
    captured.edits.get(edit).is_some_and(|edit| edit.inst == inst && edit.position == position)
}

/// For each block, where each of its steps begins and where the last one ends. Notes behind a branch that was optimized
/// away are gone: such a place is where the next note is.
#[cfg(cl127)]
fn bounds(captured: &Captured, compiled: &CompiledCode) -> Vec<Vec<u32>> {
    let digits = usize::BITS - captured.blocks.len().saturating_sub(1).leading_zeros();
    let mut seen: Vec<(usize, Vec<u32>)> = Vec::new();
    let mut left = 0;
    for (offset, symbol) in notes(compiled) {
        match symbol {
            2 => {
                seen.push((0, vec![offset]));
                left = digits;
            }
            3 => seen.last_mut().expect("a block").1.push(offset),
            digit => {
                let block = &mut seen.last_mut().expect("a block").0;
                *block = *block << 1 | digit as usize;
                left -= 1;
            }
        }
    }
    assert_eq!(left, 0, "a block's whole number");
    let mut end = compiled.buffer.data().len() as u32;
    let mut found: Vec<Vec<u32>> = vec![Vec::new(); captured.blocks.len()];
    for &block in tap::order().iter().rev() {
        let noted = seen.pop_if(|(number, _)| *number == block);
        let mut bounds = noted.map(|(_, bounds)| bounds).unwrap_or_default();
        bounds.resize(steps(captured, block) + 1, end);
        end = bounds[0];
        found[block] = bounds;
    }
    assert!(seen.is_empty(), "notes in the order of the blocks");
    found
}

/// How many instructions and edits a block emits: all but the edits behind its last instruction.
#[cfg(cl127)]
fn steps(captured: &Captured, block: usize) -> usize {
    let block = &captured.blocks[block];
    let first = captured.edits.partition_point(|edit| edit.inst < block.first);
    let last = captured.edits.partition_point(|edit| (edit.inst, edit.position) < (block.end - 1, 1));
    block.end - block.first + last - first
}

#[cfg(cl127)]
fn notes(compiled: &CompiledCode) -> impl Iterator<Item = (u32, u32)> + '_ {
    use cranelift_codegen::ir::DebugTag;
    compiled.buffer.debug_tags().filter_map(|note| match note.tags {
        [DebugTag::User(tag)] if (TAG..TAG + MARKERS).contains(tag) => Some((note.offset, tag - TAG)),
        _ => None,
    })
}

/// One line an instruction, without the markers.
fn text(out: &mut String, captured: &Captured) {
    let Some(words) = TEXT.with(|text| text.borrow_mut().take()) else {
        out.push_str("null");
        return;
    };
    let mut lines: Vec<&str> = Vec::with_capacity(captured.insts.len() + 4);
    for line in words.lines() {
        let Some((number, text)) = line.strip_prefix("  Inst ").and_then(|rest| rest.split_once(": ")) else { continue };
        if number.parse() == Ok(lines.len()) {
            lines.push(text);
        }
    }
    if let Some(first) = tap::markers().filter(|first| lines.len() >= first + 4) {
        lines.drain(first..first + 4);
    }
    json::array(out, lines, |out, line| json::string(out, line));
}
