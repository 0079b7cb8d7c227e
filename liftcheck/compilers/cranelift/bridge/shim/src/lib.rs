//! Stands in for the crate `regalloc2` by a Cargo patch: everything is the published crate's (`real`), but the two
//! functions that Cranelift calls pass through here, and what goes in and comes out is recorded on request (`tap`).
//!
//! While nothing is asked for, a call is a call of the published crate. Asked for `markers`, the allocator still gets
//! exactly the function that it would get without them (`view`). Another answer is given only where the watcher changes it.

mod output;
pub mod tap;
mod view;

pub use output::{Output, OutputIter};
pub use real::Output as Answer;
pub use real::*;

#[cfg(ra11)]
pub use output::Ctx;

pub fn run<F: Function>(func: &F, env: &MachineEnv, options: &RegallocOptions) -> Result<Output, RegAllocError> {
    through(func, env, options, &mut |view| real::run(view, env, options), || real::run(func, env, options))
}

#[cfg(ra11)]
pub fn run_with_ctx<'a, F: Function>(
    func: &F,
    env: &MachineEnv,
    options: &RegallocOptions,
    ctx: &'a mut Ctx,
) -> Result<&'a Output, RegAllocError> {
    let context = std::cell::RefCell::new(&mut ctx.inner);
    let output = through(
        func,
        env,
        options,
        &mut |view| {
            let context = &mut **context.borrow_mut();
            real::run_with_ctx(view, env, options, context)?;
            Ok(std::mem::take(&mut context.output))
        },
        || {
            let context = &mut **context.borrow_mut();
            real::run_with_ctx(func, env, options, context)?;
            Ok(std::mem::take(&mut context.output))
        },
    )?;
    ctx.output = output;
    Ok(&ctx.output)
}

/// `watched` allocates a view of the function, `plain` the function itself.
fn through<F: Function>(
    func: &F,
    env: &MachineEnv,
    options: &RegallocOptions,
    watched: &mut dyn FnMut(&view::View<F>) -> Result<real::Output, RegAllocError>,
    plain: impl FnOnce() -> Result<real::Output, RegAllocError>,
) -> Result<Output, RegAllocError> {
    let Some(request) = tap::request() else { return plain().map(Output::from) };
    let view = view::View::new(func, request.markers);
    let mut output = watched(&view)?;
    (request.watch)(&view, env, algorithm(options), &mut output);
    tap::set_markers(view.hidden());
    view.restore(&mut output);
    Ok(Output::from(output))
}

#[cfg(ra11)]
fn algorithm(options: &RegallocOptions) -> &'static str {
    match options.algorithm {
        Algorithm::Ion => "backtracking",
        #[allow(unreachable_patterns)]
        _ => "single_pass",
    }
}

#[cfg(not(ra11))]
fn algorithm(_: &RegallocOptions) -> &'static str {
    "backtracking"
}
