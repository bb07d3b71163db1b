//! Overrides settings by those of a TOML file. The base has every setting, so that an unknown or wrong one in the file
//! can be named in the error.
//!
//! A duration is a text such as `"500ms"`. A choice without settings of its own is given by its name, any other choice
//! by its name or by a table `{ name = { settings } }`. Settings that the table leaves out keep their value; if the base
//! had made another choice, they get the value of the broadcast preset with that choice.

use bruit_udp::core::BroadcastConfig;
use toml::{Table, Value};

use crate::duration::duration;

/// The settings that are absent unless they are given.
const OPTIONAL: [&str; 2] = ["broadcast.keep_rounds", "broadcast.first.multicast.group"];

/// Overrides the settings of `base` by those of `over`. `path` is the path of both tables.
pub(crate) fn merge(base: &mut Table, over: Table, path: &str) -> Result<(), String> {
    for (key, value) in over {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if OPTIONAL.contains(&path.as_str()) {
            base.insert(key, fitting(value, &path)?);
            continue;
        }
        let Some(slot) = base.get_mut(&key) else {
            let known: Vec<_> = base.keys().map(String::as_str).collect();
            return Err(format!("there is no setting {path}; there are {}", known.join(", ")));
        };
        match (slot, value) {
            (slot, value) if is_phase(&path) => choose(slot, value, &path)?,
            (Value::Table(inner), Value::Table(over)) if !is_duration(inner) => merge(inner, over, &path)?,
            (slot, value) => *slot = converted(slot, value, &path)?,
        }
    }
    Ok(())
}

/// True for a choice whose alternatives have settings of their own.
fn is_phase(path: &str) -> bool {
    matches!(path, "broadcast.first" | "broadcast.repair")
}

/// Makes a choice that is given by its name, or by a table with its name and settings.
fn choose(slot: &mut Value, value: Value, path: &str) -> Result<(), String> {
    let (name, over) = named(value, path)?;
    let alternatives = alternatives(path)?;
    let Some((_, content)) = alternatives.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = alternatives.iter().map(|(known, _)| *known).collect();
        return Err(format!("{path} is {name:?}, but must be one of {}", known.join(", ")));
    };
    if slot.get(&name).is_none() {
        *slot = content.clone();
    }
    match slot.get_mut(&name).and_then(Value::as_table_mut) {
        Some(settings) => merge(settings, over, &format!("{path}.{name}")),
        None if over.is_empty() => Ok(()),
        None => Err(format!("{path}.{name} has no settings")),
    }
}

/// Splits a choice into its name and its given settings.
fn named(value: Value, path: &str) -> Result<(String, Table), String> {
    let wrong = format!("{path} is {value}, but must be the name of one choice, or a table with that name");
    if let Some(name) = value.as_str() {
        return Ok((name.to_owned(), Table::new()));
    }
    let Value::Table(table) = value else { return Err(wrong) };
    let mut choices = table.into_iter();
    match (choices.next(), choices.next()) {
        (Some((name, Value::Table(over))), None) => Ok((name, over)),
        (Some((name, other)), None) => {
            Err(format!("{path}.{name} is {other}, but must be a table of settings"))
        }
        _ => Err(wrong),
    }
}

/// The alternatives of a choice, each with its default settings.
fn alternatives(path: &str) -> Result<Vec<(&'static str, Value)>, String> {
    let none = ("none", Ok(Value::from("none")));
    let choices = if path == "broadcast.first" {
        let multicast = Value::try_from(BroadcastConfig::bimodal().first);
        let push = Value::try_from(BroadcastConfig::push_ack().first);
        let tree = Value::try_from(BroadcastConfig::tree().first);
        vec![none, ("multicast", multicast), ("push", push), ("tree", tree)]
    } else {
        let rounds = Value::try_from(BroadcastConfig::bimodal().repair);
        let pull = Value::try_from(BroadcastConfig::pull().repair);
        vec![none, ("rounds", rounds), ("pull", pull)]
    };
    let named = |(name, value): (_, Result<Value, toml::ser::Error>)| {
        Ok((name, value.map_err(|error| error.to_string())?))
    };
    choices.into_iter().map(named).collect()
}

/// Converts `value` to the type of the setting that it replaces.
fn converted(setting: &Value, value: Value, path: &str) -> Result<Value, String> {
    match (setting, value) {
        (Value::Table(table), Value::String(text)) if is_duration(table) => parsed(&text, path),
        (Value::Table(table), value) if is_duration(table) => {
            Err(format!("{path} is {value}, but must be a duration such as \"500ms\" or \"2s\""))
        }
        // The setting is an enum whose default is a plain name; the value is a variant with a duration.
        (Value::String(_), Value::Table(variant)) => {
            let fields = variant.into_iter().map(|(key, value)| {
                let duration = value.as_str().map(|text| parsed(text, path)).transpose()?;
                Ok((key, duration.unwrap_or(value)))
            });
            Ok(Value::Table(fields.collect::<Result<_, String>>()?))
        }
        (setting, value) if setting.same_type(&value) => fitting(value, path),
        (setting, value) => Err(format!("{path} is {value}, but must be {}", article(setting.type_str()))),
    }
}

/// Refuses negative numbers, which no setting takes. The check stands here because this error can name the setting.
fn fitting(value: Value, path: &str) -> Result<Value, String> {
    match value.as_integer().filter(|number| *number < 0) {
        Some(number) => Err(format!("{path} is {number}, but must not be negative")),
        None => Ok(value),
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

fn is_duration(table: &Table) -> bool {
    table.len() == 2 && table.contains_key("secs") && table.contains_key("nanos")
}

fn parsed(text: &str, path: &str) -> Result<Value, String> {
    let duration = duration(text).map_err(|error| format!("{path}: {error}"))?;
    let seconds = i64::try_from(duration.as_secs()).map_err(|_| format!("{path}: {text} is too long"))?;
    let mut table = Table::new();
    table.insert("secs".to_owned(), Value::Integer(seconds));
    table.insert("nanos".to_owned(), Value::Integer(duration.subsec_nanos().into()));
    Ok(Value::Table(table))
}
