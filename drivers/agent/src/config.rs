//! The shared settings: a preset, and over it what a TOML file says. A setting is spelled as in
//! [`bruit_core::Config`]; a duration is a text such as `"500ms"`.
//!
//! ```toml
//! cluster = "shop"
//! mtu = 1200
//! [membership]
//! probe_interval = "500ms"
//! admission = { Ask = "5s" }
//! ```

use std::fs;
use std::path::Path;
use std::time::Duration;

use bruit_core::Config;
use toml::{Table, Value};

use crate::cli::{ConfigArgs, Preset};
use crate::failure::Failure;

/// The settings that these arguments stand for.
pub(crate) fn load(args: &ConfigArgs) -> Result<Config, Failure> {
    let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let named = file.get("cluster").and_then(Value::as_str);
    let Some(cluster) = args.cluster.as_deref().or(named) else {
        return Err(Failure::Usage(
            "the cluster has no name: give --cluster NAME, or cluster in the --config file".into(),
        ));
    };
    let config = overridden(preset(args.preset, cluster), file, args.cluster.as_deref())
        .map_err(|error| Failure::Usage(in_file(args.config.as_deref(), &error)))?;
    config.validate().map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(config)
}

pub(crate) fn preset(preset: Preset, cluster: &str) -> Config {
    match preset {
        Preset::Lan => Config::lan(cluster),
        Preset::Wan => Config::wan(cluster),
        Preset::Local => Config::local(cluster),
        Preset::MemberlistLan => Config::memberlist_lan(cluster),
        Preset::MemberlistWan => Config::memberlist_wan(cluster),
    }
}

fn read(path: &Path) -> Result<Table, Failure> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
    text.parse().map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn in_file(path: Option<&Path>, error: &str) -> String {
    path.map_or_else(|| error.to_owned(), |path| format!("{}: {error}", path.display()))
}

fn overridden(preset: Config, file: Table, cluster: Option<&str>) -> Result<Config, String> {
    let mut table = Table::try_from(&preset).map_err(|error| error.to_string())?;
    merge(&mut table, file, "")?;
    if let Some(cluster) = cluster {
        table.insert("cluster".to_owned(), Value::from(cluster));
    }
    table.try_into().map_err(|error: toml::de::Error| error.to_string().trim_end().replace('\n', " "))
}

/// Lays `over` over `base`, in which every setting that exists has a value.
fn merge(base: &mut Table, over: Table, path: &str) -> Result<(), String> {
    for (key, value) in over {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(slot) = base.get_mut(&key) else {
            let known: Vec<_> = base.keys().map(String::as_str).collect();
            return Err(format!("there is no setting {path}; there are {}", known.join(", ")));
        };
        match (slot, value) {
            (Value::Table(inner), Value::Table(over)) if !is_duration(inner) => merge(inner, over, &path)?,
            (slot, value) => *slot = converted(slot, value, &path)?,
        }
    }
    Ok(())
}

/// `value` in the form of the setting it replaces.
fn converted(setting: &Value, value: Value, path: &str) -> Result<Value, String> {
    match (setting, value) {
        (Value::Table(table), Value::String(text)) if is_duration(table) => parsed(&text, path),
        (Value::Table(table), value) if is_duration(table) => {
            Err(format!("{path} is {value}, but must be a duration such as \"500ms\" or \"2s\""))
        }
        // An enum that is a text by default, and here a variant with a duration.
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

/// Numbers below zero fit no setting; saying so here names the setting.
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

/// A whole number and a unit: ns, us, ms, s, m, h or d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let wrong =
        || format!("{text:?} is no duration: a whole number and ns, us, ms, s, m, h or d, such as 500ms");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(*nanos)
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("{text:?} is longer than 584 years"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_core::AdmissionPolicy;

    fn over(text: &str) -> Result<Config, String> {
        overridden(Config::lan("docs"), text.parse().expect("TOML"), None)
    }

    #[track_caller]
    fn refused(text: &str, parts: &[&str]) {
        let error = over(text).expect_err("refused");
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn a_file_overrides_single_settings() {
        let config = over(
            "mtu = 1200\n[membership]\nprobe_interval = '2s'\nprotocol = [1, 2]\nadmission = { Ask = '5s' }",
        );
        let config = config.expect("valid");
        let mut expected = Config::lan("docs");
        expected.mtu = 1_200;
        expected.membership.probe_interval = Duration::from_secs(2);
        expected.membership.protocol = (1, 2);
        expected.membership.admission = AdmissionPolicy::Ask(Duration::from_secs(5));
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        refused("mtv = 1", &["no setting mtv", "mtu"]);
        refused("[membership]\nprobe = '1s'", &["no setting membership.probe;", "probe_interval"]);
        refused("[membership]\nprobe_interval = 5", &["membership.probe_interval is 5", "duration"]);
        refused("[membership]\nprobe_interval = '5 parsecs'", &["membership.probe_interval", "5 parsecs"]);
        refused("[membership]\nbuddy = 1", &["membership.buddy is 1", "a boolean"]);
        refused("mtu = -1", &["mtu is -1"]);
        refused("mtu = 70000", &["mtu", "70000"]);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(
            duration("").is_err()
                && duration("5").is_err()
                && duration("s").is_err()
                && duration("-1s").is_err()
        );
        assert!(duration("99999999999d").is_err());
    }
}
