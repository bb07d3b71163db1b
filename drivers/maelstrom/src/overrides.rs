//! Overrides of single settings, such as `broadcast.batch=120ms`.

use std::str::FromStr;
use std::time::Duration;

use bruit_core::Config;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The path of a setting and its new value, which is a duration such as `1500ms` or `2s`, JSON, or else a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    path: String,
    value: Value,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not PATH=VALUE"))?;
        let value = match duration(value) {
            Some(duration) => serde_json::to_value(duration).map_err(|error| error.to_string())?,
            None => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
        };
        Ok(Self { path: path.to_owned(), value })
    }
}

impl Serialize for Override {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}={}", self.path, self.value))
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// Returns `config` with these settings in place of its own.
///
/// # Errors
/// A setting does not exist, or cannot have the given value.
pub fn apply(config: &Config, overrides: &[Override]) -> Result<Config, String> {
    if overrides.is_empty() {
        return Ok(config.clone());
    }
    let mut tree = serde_json::to_value(config).map_err(|error| error.to_string())?;
    for Override { path, value } in overrides {
        let place = path.split('.').try_fold(&mut tree, |tree, key| tree.get_mut(key));
        *place.ok_or_else(|| format!("there is no setting {path}"))? = value.clone();
    }
    let config: Config = serde_json::from_value(tree).map_err(|error| error.to_string())?;
    config.validate().map_err(|error| error.to_string())?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_core::broadcast::FirstPhase;

    fn with(texts: &[&str]) -> Result<Config, String> {
        let overrides: Result<Vec<Override>, _> = texts.iter().map(|text| text.parse()).collect();
        apply(&Config::lan("test"), &overrides?)
    }

    #[test]
    fn single_settings_are_replaced() {
        let config = with(&["broadcast.batch=120ms", "mtu=1300", r#"broadcast.first={"push":{"fanout":3}}"#]);
        let config = config.expect("all are settings");
        assert_eq!((config.broadcast.batch, config.mtu), (Duration::from_millis(120), 1_300));
        assert_eq!(config.broadcast.first, FirstPhase::Push { fanout: 3 });
        assert_eq!(with(&["broadcast.first=none"]).expect("a text").broadcast.first, FirstPhase::None);
        assert_eq!(with(&[]), Ok(Config::lan("test")));
    }

    #[test]
    fn an_unknown_setting_or_a_wrong_value_is_refused() {
        for text in ["mtu", "mtu=9", "mtu=x", "nothing=1", "broadcast.nothing=1", "mtu.x=1"] {
            assert!(with(&[text]).is_err(), "{text}");
        }
    }
}
