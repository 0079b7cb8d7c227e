//! A function without its markers: what the allocator gets, so that it answers as it would without us.

use crate::output::MARKERS;
use real::{Block, Function, Inst, InstRange, Operand, Output, PRegSet, ProgPoint, RegClass, VReg};

pub struct View<'a, F: Function> {
    function: &'a F,
    /// Instructions [at, at + count) are hidden.
    at: usize,
    count: usize,
}

impl<'a, F: Function> View<'a, F> {
    /// The markers are the entry's first instructions but for those that fetch arguments, which all define something.
    pub fn new(function: &'a F, marked: bool) -> Self {
        if !marked {
            return Self { function, at: 0, count: 0 };
        }
        let entry = function.block_insns(function.entry_block());
        let silent = |inst: &Inst| {
            function.inst_operands(*inst).is_empty()
                && function.inst_clobbers(*inst).into_iter().next().is_none()
                && !function.is_ret(*inst)
                && !function.is_branch(*inst)
        };
        let indices = entry.first().index()..entry.first().index() + entry.len();
        let at = indices.map(Inst::new).find(silent).expect("liftcheck's markers at the entry").index();
        assert!((at..at + MARKERS).map(Inst::new).all(|inst| silent(&inst)), "liftcheck's markers side by side");
        Self { function, at, count: MARKERS }
    }

    /// The first marker.
    pub fn hidden(&self) -> Option<usize> {
        (self.count > 0).then_some(self.at)
    }

    fn outer(&self, inst: Inst) -> Inst {
        if inst.index() < self.at { inst } else { Inst::new(inst.index() + self.count) }
    }

    fn inner(&self, inst: Inst) -> Inst {
        if inst.index() <= self.at { inst } else { Inst::new(inst.index() - self.count) }
    }

    #[cfg(ra10)]
    fn range(&self, from: Inst, to: Inst) -> InstRange {
        InstRange::new(from, to)
    }

    #[cfg(not(ra10))]
    fn range(&self, from: Inst, to: Inst) -> InstRange {
        InstRange::forward(from, to)
    }

    /// Makes an answer for this view one for the whole function.
    pub fn restore(&self, output: &mut Output) {
        if self.count == 0 {
            return;
        }
        for (point, _) in &mut output.edits {
            *point = ProgPoint::new(self.outer(point.inst()), point.pos());
        }
        let offsets = &mut output.inst_alloc_offsets;
        let here = offsets.get(self.at).copied().unwrap_or(output.allocs.len() as u32);
        offsets.splice(self.at..self.at, std::iter::repeat(here).take(self.count));
    }
}

impl<F: Function> Function for View<'_, F> {
    fn num_insts(&self) -> usize {
        self.function.num_insts() - self.count
    }

    fn num_blocks(&self) -> usize {
        self.function.num_blocks()
    }

    fn entry_block(&self) -> Block {
        self.function.entry_block()
    }

    fn block_insns(&self, block: Block) -> InstRange {
        let range = self.function.block_insns(block);
        if self.count == 0 {
            return range;
        }
        let end = Inst::new(range.first().index() + range.len());
        self.range(self.inner(range.first()), self.inner(end))
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        self.function.block_succs(block)
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        self.function.block_preds(block)
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        self.function.block_params(block)
    }

    fn is_ret(&self, insn: Inst) -> bool {
        self.function.is_ret(self.outer(insn))
    }

    fn is_branch(&self, insn: Inst) -> bool {
        self.function.is_branch(self.outer(insn))
    }

    fn branch_blockparams(&self, block: Block, insn: Inst, succ_idx: usize) -> &[VReg] {
        self.function.branch_blockparams(block, self.outer(insn), succ_idx)
    }

    #[cfg(not(ra10))]
    fn requires_refs_on_stack(&self, insn: Inst) -> bool {
        self.function.requires_refs_on_stack(self.outer(insn))
    }

    #[cfg(not(ra7))]
    fn is_move(&self, insn: Inst) -> Option<(Operand, Operand)> {
        self.function.is_move(self.outer(insn))
    }

    fn inst_operands(&self, insn: Inst) -> &[Operand] {
        self.function.inst_operands(self.outer(insn))
    }

    fn inst_clobbers(&self, insn: Inst) -> PRegSet {
        self.function.inst_clobbers(self.outer(insn))
    }

    fn num_vregs(&self) -> usize {
        self.function.num_vregs()
    }

    #[cfg(not(ra10))]
    fn reftype_vregs(&self) -> &[VReg] {
        self.function.reftype_vregs()
    }

    fn debug_value_labels(&self) -> &[(VReg, Inst, Inst, u32)] {
        assert!(self.count == 0 || self.function.debug_value_labels().is_empty(), "markers and labels exclude each other");
        self.function.debug_value_labels()
    }

    fn spillslot_size(&self, regclass: RegClass) -> usize {
        self.function.spillslot_size(regclass)
    }

    fn multi_spillslot_named_by_last_slot(&self) -> bool {
        self.function.multi_spillslot_named_by_last_slot()
    }

    fn allow_multiple_vreg_defs(&self) -> bool {
        self.function.allow_multiple_vreg_defs()
    }
}
