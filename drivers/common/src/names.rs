//! Host names. A name is looked up again while the node runs, because the machine behind it may change. After an answer
//! the next look-up is due in [`RESOLVE_INTERVAL`]; after a failure in one second, then two, four and so on up to that
//! interval. A name whose look-up fails keeps its last addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use bruit_core::Time;

/// The time after which a name with an answer is looked up again.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);

/// The most addresses taken from one name.
const ADDRESSES_MAX: usize = bruit_core::limits::SEEDS_MAX;

/// A member to join through, given as an address or as a name with a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seed {
    /// An address.
    Addr(SocketAddr),
    /// A host name and a port, `host:port`.
    Name(String),
}

/// The error for a text that is neither an address nor `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSeed {
    /// The text.
    pub text: String,
    /// The reason.
    pub reason: &'static str,
}

impl fmt::Display for BadSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not host:port: {}", self.text, self.reason)
    }
}

impl std::error::Error for BadSeed {}

impl From<SocketAddr> for Seed {
    fn from(addr: SocketAddr) -> Self {
        Self::Addr(addr)
    }
}

impl FromStr for Seed {
    type Err = BadSeed;

    fn from_str(text: &str) -> Result<Self, BadSeed> {
        let bad = |reason| BadSeed { text: text.to_owned(), reason };
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return if addr.port() == 0 {
                Err(bad("port 0 cannot be reached"))
            } else {
                Ok(Self::Addr(addr))
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| bad("the port is missing"))?;
        let port: u16 = port.parse().map_err(|_| bad("the port must lie between 1 and 65535"))?;
        if port == 0 {
            return Err(bad("port 0 cannot be reached"));
        }
        if host.is_empty() || host.len() > 253 {
            return Err(bad("a host name has 1 to 253 bytes"));
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | '[' | ']'))
        {
            return Err(bad("the host is neither a name nor an address; an IPv6 address needs brackets"));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => write!(f, "{addr}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Entry {
    addrs: Vec<SocketAddr>,
    due: Time,
    failures: u32,
}

/// The names in use, each with its last addresses and the time of its next look-up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    entries: BTreeMap<String, Entry>,
}

impl Names {
    /// Replaces the names in use. New names are due at once; the others keep their addresses and their times.
    pub(crate) fn set<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut before = std::mem::take(&mut self.entries);
        self.entries = names.map(|name| (name.to_owned(), before.remove(name).unwrap_or_default())).collect();
    }

    /// The time of the next look-up.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// The names whose look-up is due.
    pub(crate) fn due(&self, now: Time) -> Vec<String> {
        self.entries.iter().filter(|(_, entry)| entry.due <= now).map(|(name, _)| name.clone()).collect()
    }

    /// Takes the answer of one look-up. Returns the error if it is to be reported, which is the first of several
    /// failures in a row.
    pub(crate) fn answered(
        &mut self,
        name: &str,
        answer: Result<Vec<SocketAddr>, String>,
        now: Time,
    ) -> Option<String> {
        let entry = self.entries.get_mut(name)?;
        match answer {
            Ok(mut addrs) => {
                addrs.sort_unstable();
                addrs.dedup();
                addrs.truncate(ADDRESSES_MAX);
                *entry = Entry { addrs, due: now + RESOLVE_INTERVAL, failures: 0 };
                None
            }
            Err(error) => {
                entry.due = now + Duration::from_secs(1 << entry.failures.min(6)).min(RESOLVE_INTERVAL);
                entry.failures += 1;
                (entry.failures == 1).then_some(error)
            }
        }
    }

    /// Each name with its last addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[SocketAddr])> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.addrs.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, reason: &str) {
        let error = text.parse::<Seed>().expect_err("refused").to_string();
        assert!(error.contains(reason) && error.contains(text), "{error}");
    }

    #[test]
    fn seeds_are_addresses_or_names_with_a_port() {
        assert!(matches!("[::1]:7000".parse(), Ok(Seed::Addr(_))));
        assert_eq!("web.example:7000".parse(), Ok(Seed::Name("web.example:7000".to_owned())));
        refused("web.example", "port is missing");
        refused("web:0", "port 0");
        refused("1.2.3.4:0", "port 0");
        refused("web:70000", "65535");
        refused(":7000", "1 to 253");
        refused("::1:7000", "brackets");
    }

    #[test]
    fn a_name_is_asked_again_after_a_minute_and_a_failure_sooner() {
        let mut names = Names::default();
        names.set(["a:1"].into_iter());
        let second = Time::from_secs;
        assert_eq!(names.due(second(0)), ["a:1"]);
        assert!(names.answered("a:1", Err("no".to_owned()), second(0)).is_some());
        assert_eq!(names.next_due(), Some(second(1)));
        assert!(names.answered("a:1", Err("no".to_owned()), second(1)).is_none(), "reported once");
        assert_eq!(names.next_due(), Some(second(3)));
        let addr = "10.0.0.1:1".parse().expect("an address");
        names.answered("a:1", Ok(vec![addr]), second(3));
        assert_eq!(names.next_due(), Some(second(63)));
        assert!(names.answered("a:1", Err("no".to_owned()), second(63)).is_some());
        assert_eq!(names.iter().collect::<Vec<_>>(), [("a:1", [addr].as_slice())], "the last answer stays");
        names.set(["a:1", "b:2"].into_iter());
        assert_eq!(names.due(second(63)), ["b:2"]);
    }
}
