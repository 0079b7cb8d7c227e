//! ISAs from triples and settings, and what settings there are.

use crate::json;
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable, SetError, Setting, SettingKind, Value};

/// The text of a `T` request: the triple, then a setting a line. The error is (kind, setting, message).
pub fn make(text: &str) -> Result<OwnedTargetIsa, (&'static str, String, String)> {
    let mut lines = text.lines();
    let triple = lines.next().unwrap_or("");
    let mut shared = settings::builder();
    let mut own = isa::lookup_by_name(triple).map_err(|e| ("isa", triple.to_string(), e.to_string()))?;
    let (presets, plain): (Vec<_>, Vec<_>) =
        lines.filter_map(|line| line.split_once('=')).partition(|(_, value)| *value == "preset");
    for (name, value) in presets.into_iter().chain(plain) {
        let outcome = match set(&mut shared, name, value) {
            Err(SetError::BadName(_)) => set(&mut own, name, value),
            other => other,
        };
        outcome.map_err(|error| match error {
            SetError::BadName(_) => ("name", name.to_string(), error.to_string()),
            _ => ("value", format!("{name}={value}"), error.to_string()),
        })?;
    }
    own.finish(settings::Flags::new(shared)).map_err(|e| ("combination", String::new(), e.to_string()))
}

fn set(builder: &mut impl Configurable, name: &str, value: &str) -> Result<(), SetError> {
    if value == "preset" { builder.enable(name) } else { builder.set(name, value) }
}

/// The reply to an `S` request: rows [name, kind, values, default, description, shared].
pub fn enumerate(triple: &str) -> Result<String, String> {
    let own = isa::lookup_by_name(triple).map_err(|e| e.to_string())?;
    let own_settings: Vec<Setting> = own.iter().collect();
    let flags = settings::Flags::new(settings::builder());
    let shared_defaults: Vec<Value> = flags.iter().collect();
    let own_defaults = own.finish(flags).map_err(|e| e.to_string())?.isa_flags();
    let mut out = String::from("{\"settings\":[");
    for setting in settings::builder().iter() {
        row(&mut out, &setting, &shared_defaults, true);
    }
    for setting in own_settings {
        row(&mut out, &setting, &own_defaults, false);
    }
    out.push_str("]}");
    Ok(out)
}

fn row(out: &mut String, setting: &Setting, defaults: &[Value], shared: bool) {
    let kind = match setting.kind {
        SettingKind::Enum => "enum",
        SettingKind::Num => "num",
        SettingKind::Bool => "bool",
        SettingKind::Preset => "preset",
    };
    let default = defaults.iter().find(|value| value.name == setting.name).map(Value::value_string);
    if !out.ends_with('[') {
        out.push(',');
    }
    out.push('[');
    json::string(out, setting.name);
    out.push_str(",\"");
    out.push_str(kind);
    out.push_str("\",");
    json::array(out, setting.values.unwrap_or(&[]), |out, value| json::string(out, value));
    out.push(',');
    json::string(out, &default.unwrap_or_default());
    out.push(',');
    json::string(out, setting.description);
    out.push_str(if shared { ",true]" } else { ",false]" });
}
