//! What went into the register allocator and what came out, as plain numbers, as `liftcheck/compilers/allocation.py`
//! states them (registers by their index, spill slots from 256 on, nothing -1).

use regalloc2::{Allocation, Answer, Block, Edit, Function, Inst, InstPosition, MachineEnv, Operand, OperandConstraint};
use regalloc2::{OperandKind, OperandPos, VReg};

pub struct BlockRecord {
    pub first: usize,
    pub end: usize,
    pub parameters: Vec<usize>,
    pub successors: Vec<usize>,
    pub arguments: Vec<Vec<usize>>,
    pub predecessors: Vec<usize>,
}

#[derive(Default)]
pub struct InstRecord {
    /// Packed: vreg + 1 from bit 14 on, class at 12, kind at 11, position at 10, constraint at 7, value below.
    pub operands: Vec<u64>,
    pub clobbers: Vec<usize>,
    pub is_return: bool,
    pub is_branch: bool,
    pub places: Vec<i64>,
}

/// An edit before (0) or after (1) an instruction.
pub struct EditRecord {
    pub inst: usize,
    pub position: usize,
    pub source: i64,
    pub target: i64,
}

#[derive(Default)]
pub struct Captured {
    /// Preferred and other registers by class, scratch registers, fixed slots: eight lists, ';' between.
    pub environment: String,
    pub classes: Vec<u8>,
    pub blocks: Vec<BlockRecord>,
    pub insts: Vec<InstRecord>,
    pub edits: Vec<EditRecord>,
    pub slots: usize,
    pub slot_sizes: [usize; 3],
    pub algorithm: &'static str,
}

impl Captured {
    pub fn input(view: &dyn Function, env: &MachineEnv, algorithm: &'static str) -> Self {
        let blocks: Vec<BlockRecord> = (0..view.num_blocks()).map(|number| block(view, Block::new(number))).collect();
        let insts: Vec<InstRecord> = (0..view.num_insts()).map(|number| inst(view, Inst::new(number))).collect();
        let mut captured = Self { environment: environment(env), blocks, insts, algorithm, ..Self::default() };
        captured.classify(view);
        captured
    }

    /// Only classes that occur are asked for their size: a class that the ISA lacks panics.
    fn classify(&mut self, view: &dyn Function) {
        self.classes = vec![0; view.num_vregs()];
        let mut note = |vreg: VReg| {
            if let Some(class) = self.classes.get_mut(vreg.vreg()) {
                *class = vreg.class() as u8;
            }
            let size = &mut self.slot_sizes[vreg.class() as usize];
            if *size == 0 {
                *size = view.spillslot_size(vreg.class());
            }
        };
        for number in 0..view.num_blocks() {
            view.block_params(Block::new(number)).iter().for_each(|vreg| note(*vreg));
        }
        for number in 0..view.num_insts() {
            let operands = view.inst_operands(Inst::new(number)).iter();
            operands.filter(|operand| operand.as_fixed_nonallocatable().is_none()).for_each(|o| note(o.vreg()));
        }
    }

    pub fn output(&mut self, view: &dyn Function, output: &Answer) {
        self.slots = output.num_spillslots;
        for number in 0..view.num_insts() {
            let places = output.inst_allocs(Inst::new(number)).iter();
            self.insts[number].places = places.map(|allocation| place(*allocation)).collect();
        }
        for (point, Edit::Move { from, to }) in &output.edits {
            let position = usize::from(point.pos() == InstPosition::After);
            let (source, target) = (place(*from), place(*to));
            self.edits.push(EditRecord { inst: point.inst().index(), position, source, target });
        }
    }
}

pub fn place(allocation: Allocation) -> i64 {
    match (allocation.as_reg(), allocation.as_stack()) {
        (Some(register), _) => register.index() as i64,
        (_, Some(slot)) => 256 + slot.index() as i64,
        _ => -1,
    }
}

fn block(view: &dyn Function, block: Block) -> BlockRecord {
    let range = view.block_insns(block);
    let first = range.first().index();
    let end = first + range.len();
    let successors = view.block_succs(block);
    let last = Inst::new(end - 1);
    let vregs = |list: &[VReg]| list.iter().map(|vreg| vreg.vreg()).collect::<Vec<usize>>();
    let arguments = |number: usize| {
        if view.is_branch(last) { vregs(view.branch_blockparams(block, last, number)) } else { Vec::new() }
    };
    BlockRecord {
        first,
        end,
        parameters: vregs(view.block_params(block)),
        successors: successors.iter().map(|other| other.index()).collect(),
        arguments: (0..successors.len()).map(arguments).collect(),
        predecessors: view.block_preds(block).iter().map(|other| other.index()).collect(),
    }
}

fn inst(view: &dyn Function, inst: Inst) -> InstRecord {
    InstRecord {
        operands: view.inst_operands(inst).iter().map(|operand| packed(*operand)).collect(),
        clobbers: view.inst_clobbers(inst).into_iter().map(|register| register.index()).collect(),
        is_return: view.is_ret(inst),
        is_branch: view.is_branch(inst),
        places: Vec::new(),
    }
}

fn packed(operand: Operand) -> u64 {
    let (constraint, value) = match operand.constraint() {
        OperandConstraint::Any => (0, 0),
        OperandConstraint::Reg => (1, 0),
        OperandConstraint::FixedReg(register) => (3, register.hw_enc() as u64),
        OperandConstraint::Reuse(index) => (4, index as u64),
        #[cfg(any(cl125, not(cl113)))]
        OperandConstraint::Stack => (2, 0),
        #[cfg(cl125)]
        OperandConstraint::Limit(count) => (5, count as u64),
    };
    let vreg = match operand.as_fixed_nonallocatable() {
        Some(_) => 0,
        None => operand.vreg().vreg() as u64 + 1,
    };
    let kind = u64::from(operand.kind() == OperandKind::Def);
    let position = u64::from(operand.pos() == OperandPos::Late);
    vreg << 14 | (operand.class() as u64) << 12 | kind << 11 | position << 10 | constraint << 7 | value
}

fn environment(env: &MachineEnv) -> String {
    let mut lists: Vec<String> = Vec::new();
    for registers in env.preferred_regs_by_class.iter().chain(&env.non_preferred_regs_by_class) {
        lists.push(joined(registers.clone().into_iter().map(|register| register.index())));
    }
    #[cfg(cl100)]
    lists.push(joined(env.scratch_by_class.iter().map(|one| one.map_or(255, |register| register.index()))));
    #[cfg(not(cl100))]
    lists.push(String::new());
    lists.push(joined(env.fixed_stack_slots.iter().map(|register| register.index())));
    lists.join(";")
}

fn joined(numbers: impl Iterator<Item = usize>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}
