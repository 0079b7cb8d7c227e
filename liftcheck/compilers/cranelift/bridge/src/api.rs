//! What Cranelift calls differently from version to version, under one name each: `cfg(clN)` holds from 0.N on.
//! Here are the parts of a compilation's result; small differences elsewhere stand where they are used.

use crate::json;
#[cfg(cl102)]
use cranelift_codegen::ir::ExternalName;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenError, CompiledCode, Context};
use std::fmt::Write;

#[cfg(cl96)]
pub fn run(context: &mut Context, isa: &dyn TargetIsa) -> Result<(), CodegenError> {
    context.compile(isa, &mut Default::default()).map(|_| ()).map_err(|error| error.inner)
}

#[cfg(not(cl96))]
pub fn run(context: &mut Context, isa: &dyn TargetIsa) -> Result<(), CodegenError> {
    context.compile(isa).map(|_| ()).map_err(|error| error.inner)
}

#[cfg(cl137)]
pub fn alignment(compiled: &CompiledCode) -> u32 {
    compiled.buffer.min_alignment
}

#[cfg(all(cl100, not(cl137)))]
pub fn alignment(compiled: &CompiledCode) -> u32 {
    compiled.buffer.alignment
}

#[cfg(not(cl100))]
pub fn alignment(compiled: &CompiledCode) -> u32 {
    compiled.alignment
}

#[cfg(cl137)]
use cranelift_codegen::MachExceptionHandler as Handler;

#[cfg(all(cl125, not(cl137)))]
use cranelift_codegen::FinalizedMachExceptionHandler as Handler;

#[cfg(cl137)]
fn offset(place: &cranelift_codegen::LabelOrOffset) -> u32 {
    place.as_offset()
}

#[cfg(all(cl125, not(cl137)))]
fn offset(place: &u32) -> u32 {
    *place
}

#[cfg(cl125)]
pub fn handler(out: &mut String, handler: &Handler) {
    use cranelift_codegen::ExceptionContextLoc as Loc;
    match handler {
        Handler::Tag(tag, place) => write!(out, "[\"tag\",{},{}]", tag.as_u32(), offset(place)).unwrap(),
        Handler::Default(place) => write!(out, "[\"default\",{}]", offset(place)).unwrap(),
        Handler::Context(Loc::SPOffset(offset)) => write!(out, "[\"context\",\"sp\",{offset}]").unwrap(),
        Handler::Context(Loc::GPR(register)) => write!(out, "[\"context\",\"gpr\",{register}]").unwrap(),
    }
}

/// (tag or none, offset): before 0.125 the type changed from version to version, its Debug form did not.
#[cfg(all(cl120, not(cl125)))]
pub fn handler(out: &mut String, handler: &impl std::fmt::Debug) {
    let text = format!("{handler:?}");
    let numbers: Vec<String> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(str::to_string)
        .collect();
    match &numbers[..] {
        [tag, offset] => write!(out, "[\"tag\",{tag},{offset}]").unwrap(),
        [offset] => write!(out, "[\"default\",{offset}]").unwrap(),
        _ => panic!("unknown exception handler {text}"),
    }
}

#[cfg(cl137)]
use cranelift_codegen::RelocTarget as Target;

#[cfg(all(cl102, not(cl137)))]
use cranelift_codegen::FinalizedRelocTarget as Target;

/// What a relocation refers to, as JSON; `symbol` says a name.
#[cfg(cl102)]
pub fn target(out: &mut String, target: &Target, symbol: impl Fn(&ExternalName) -> String) {
    match target {
        Target::ExternalName(name) => json::string(out, &symbol(name)),
        #[cfg(cl137)]
        Target::Label(place) => write!(out, "\"func:{}\"", place.as_offset()).unwrap(),
        #[cfg(not(cl137))]
        Target::Func(offset) => write!(out, "\"func:{offset}\"").unwrap(),
    }
}

#[cfg(cl137)]
use cranelift_codegen::ir::MaybeRelSourceLoc as Location;

#[cfg(not(cl137))]
use cranelift_codegen::ir::SourceLoc as Location;

/// The number of a source location; prologues and moves have none.
pub fn location(location: Location) -> Option<usize> {
    #[cfg(cl137)]
    let location = location.as_abs();
    (!location.is_default()).then(|| location.bits() as usize)
}

#[cfg(cl127)]
pub fn frame(out: &mut String, compiled: &CompiledCode, function: &Function) {
    let Some(layout) = compiled.buffer.frame_layout() else {
        out.push_str("null");
        return;
    };
    write!(out, "{{\"frame_to_fp_offset\":{},\"slots\":", layout.frame_to_fp_offset).unwrap();
    json::array(out, function.sized_stack_slots.keys(), |out, slot| {
        write!(out, "{}", layout.stackslots[slot].offset).unwrap();
    });
    out.push('}');
}

#[cfg(not(cl127))]
pub fn frame(out: &mut String, compiled: &CompiledCode, _: &Function) {
    write!(out, "{{\"frame_size\":{}}}", compiled.frame_size).unwrap();
}
