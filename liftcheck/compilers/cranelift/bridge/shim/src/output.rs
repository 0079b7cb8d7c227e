//! The allocator's answer as Cranelift reads it while it emits code: the published crate's, but the walk over a block
//! says where each step begins.
//!
//! The one idea: some instructions of the function are *markers*: they emit no byte, but Cranelift notes the code offset
//! at which each of them stands (a debug tag of a `sequence_point`). Handing one out more often than it occurs measures
//! the offset between any two steps. Before a block come BLOCK and the block's number, after each step comes STEP. (The
//! number, because a branch that is optimized away takes the notes behind it along.)

use crate::tap;
use real::{Block, Function, Inst, InstOrEdit};
use std::ops::{Deref, DerefMut};

/// The markers, in the order in which they stand at the entry: two digits, then these.
pub const BLOCK: usize = 2;
pub const STEP: usize = 3;
pub const MARKERS: usize = 4;

#[cfg_attr(ra11, derive(Default))]
#[derive(Clone, Debug)]
pub struct Output {
    inner: real::Output,
}

impl From<real::Output> for Output {
    fn from(inner: real::Output) -> Self {
        Self { inner }
    }
}

impl Deref for Output {
    type Target = real::Output;

    fn deref(&self) -> &real::Output {
        &self.inner
    }
}

impl DerefMut for Output {
    fn deref_mut(&mut self) -> &mut real::Output {
        &mut self.inner
    }
}

impl Output {
    pub fn block_insts_and_edits(&self, func: &impl Function, block: Block) -> OutputIter<'_> {
        let first = tap::markers();
        let mut queue = Vec::new();
        if first.is_some() {
            let number = block.index();
            tap::emitted(number);
            queue.extend((0..digits(func.num_blocks())).map(|digit| number >> digit & 1));
            queue.push(BLOCK);
        }
        OutputIter { inner: self.inner.block_insts_and_edits(func, block), first, queue }
    }
}

/// How many binary digits name any of so many blocks.
pub fn digits(blocks: usize) -> u32 {
    usize::BITS - blocks.saturating_sub(1).leading_zeros()
}

pub struct OutputIter<'a> {
    inner: real::OutputIter<'a>,
    /// The first marker, if there are any.
    first: Option<usize>,
    /// Markers to hand out, the last one first.
    queue: Vec<usize>,
}

impl<'a> Iterator for OutputIter<'a> {
    type Item = InstOrEdit<'a>;

    fn next(&mut self) -> Option<InstOrEdit<'a>> {
        let Some(first) = self.first else { return self.inner.next() };
        if let Some(marker) = self.queue.pop() {
            return Some(InstOrEdit::Inst(Inst::new(first + marker)));
        }
        loop {
            match self.inner.next()? {
                InstOrEdit::Inst(inst) if (first..first + MARKERS).contains(&inst.index()) => (),
                step => {
                    self.queue.push(STEP);
                    return Some(step);
                }
            }
        }
    }
}

#[cfg(ra11)]
#[derive(Default)]
pub struct Ctx {
    pub(crate) inner: real::Ctx,
    pub output: Output,
}
