//! Reading and verifying text, with the line of every complaint.

use crate::json;
use crate::panics::caught;
use cranelift_codegen::ir::Function;
use cranelift_codegen::settings::FlagsOrIsa;
use cranelift_codegen::verify_function;
use cranelift_reader::{parse_run_command, parse_test, Details, ParseError, ParseOptions, TestFile};

/// Something wrong with a text. `stage` is 'read', 'verify', 'run line' or 'panic' (a bug of the reader or verifier).
pub struct Complaint {
    pub stage: &'static str,
    pub line: usize,
    pub function: String,
    pub message: String,
    pub place: String,
}

impl Complaint {
    pub fn write(&self, out: &mut String) {
        out.push('[');
        json::string(out, self.stage);
        out.push(',');
        json::number(out, self.line as i64);
        for text in [&self.function, &self.message, &self.place] {
            out.push(',');
            json::string(out, text);
        }
        out.push(']');
    }
}

/// Reads bare functions or whole filetests alike; headers are executed and dropped.
pub fn functions(text: &str) -> Result<TestFile<'_>, Complaint> {
    match caught(|| parse_test(text, ParseOptions::default())) {
        Ok(parsed) => parsed.map_err(|error| unreadable(&error)),
        Err(panic) => Err(Complaint {
            stage: "panic",
            line: 0,
            function: String::new(),
            message: panic.message,
            place: panic.place,
        }),
    }
}

fn unreadable(error: &ParseError) -> Complaint {
    Complaint {
        stage: "read",
        line: error.location.line_number,
        function: String::new(),
        message: error.message.clone(),
        place: String::new(),
    }
}

/// What the verifier says of one function as it was read.
pub fn verify<'a>(function: &Function, details: &Details, flags: impl Into<FlagsOrIsa<'a>>) -> Vec<Complaint> {
    let name = function.name.to_string();
    let flags = flags.into();
    let complaint = |stage, line, message, place| Complaint { stage, line, function: name.clone(), message, place };
    match caught(|| verify_function(function, flags)) {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(errors)) => (errors.0.iter())
            .map(|error| {
                let line = details.map.location(error.location).unwrap_or(details.location).line_number;
                complaint("verify", line, error.to_string(), String::new())
            })
            .collect(),
        Err(panic) => vec![complaint("panic", details.location.line_number, panic.message, panic.place)],
    }
}

/// Run lines of a filetest that the reader refuses for their function's signature, and how many it accepts.
pub fn run_lines(file: &TestFile) -> (usize, Vec<Complaint>) {
    let (mut accepted, mut complaints) = (0, Vec::new());
    for (function, details) in &file.functions {
        for comment in &details.comments {
            match caught(|| parse_run_command(comment.text, &function.signature)) {
                Ok(Ok(command)) => accepted += usize::from(command.is_some()),
                Ok(Err(error)) => complaints.push(Complaint {
                    stage: "run line",
                    line: details.location.line_number,
                    function: function.name.to_string(),
                    message: format!("{}: {}", comment.text, error.message),
                    place: String::new(),
                }),
                Err(panic) => complaints.push(Complaint {
                    stage: "panic",
                    line: details.location.line_number,
                    function: function.name.to_string(),
                    message: panic.message,
                    place: panic.place,
                }),
            }
        }
    }
    (accepted, complaints)
}
