//! The shared settings: a preset, and a TOML file that overrides single settings. A setting has its name in
//! [`bruit_udp::Config`]; a duration is a text such as `"500ms"`. The broadcast has presets of its own.
//!
//! ```toml
//! cluster = "shop"
//! mtu = 1200
//! [membership]
//! probe_interval = "500ms"
//! admission = { Ask = "5s" }
//! [broadcast]
//! preset = "bimodal"        # tree (the default), bimodal, push-ack, pull
//! first = { multicast = { group = "239.255.66.117:7947" } }
//! repair = { rounds = { rounds = 20, beta = { of = 1, out_of = 4 } } }
//! persist_seen = { every = "1s" }
//! ```

use std::fs;
use std::path::Path;

use bruit_udp::core::{BroadcastConfig, Config};
use toml::{Table, Value};

use crate::cli::{ConfigArgs, Preset};
use crate::failure::Failure;
use crate::overlay::merge;

/// Loads the settings that the arguments describe, and validates them.
pub(crate) fn load(args: &ConfigArgs) -> Result<Config, Failure> {
    let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let named = file.get("cluster").and_then(Value::as_str);
    let Some(cluster) = args.cluster.as_deref().or(named) else {
        return Err(Failure::Usage(
            "the cluster has no name: give --cluster NAME, or set cluster in the --config file".into(),
        ));
    };
    let config = overridden(preset(args.preset, cluster), file, args.cluster.as_deref())
        .map_err(|error| Failure::Usage(in_file(args.config.as_deref(), &error)))?;
    config.validate().map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(config)
}

/// The settings of a preset.
pub(crate) fn preset(preset: Preset, cluster: &str) -> Config {
    match preset {
        Preset::Lan => Config::lan(cluster),
        Preset::Wan => Config::wan(cluster),
        Preset::Local => Config::local(cluster),
        Preset::MemberlistLan => Config::memberlist_lan(cluster),
        Preset::MemberlistWan => Config::memberlist_wan(cluster),
    }
}

/// Finds a preset of the broadcast by its name.
fn broadcast(name: &Value) -> Result<BroadcastConfig, String> {
    match name.as_str() {
        Some("tree") => Ok(BroadcastConfig::tree()),
        Some("bimodal") => Ok(BroadcastConfig::bimodal()),
        Some("push-ack") => Ok(BroadcastConfig::push_ack()),
        Some("pull") => Ok(BroadcastConfig::pull()),
        _ => Err(format!("broadcast.preset is {name}, but must be one of tree, bimodal, push-ack, pull")),
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

fn overridden(mut preset: Config, mut file: Table, cluster: Option<&str>) -> Result<Config, String> {
    if let Some(named) =
        file.get_mut("broadcast").and_then(Value::as_table_mut).and_then(|it| it.remove("preset"))
    {
        preset.broadcast = broadcast(&named)?;
    }
    let mut table = Table::try_from(&preset).map_err(|error| error.to_string())?;
    merge(&mut table, file, "")?;
    if let Some(cluster) = cluster {
        table.insert("cluster".to_owned(), Value::from(cluster));
    }
    table.try_into().map_err(|error: toml::de::Error| error.to_string().trim_end().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use bruit_udp::core::{
        AdmissionPolicy,
        broadcast::{FirstPhase, Order, PersistSeen, Ratio, Repair},
    };

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
    fn an_error_names_the_setting_and_its_value() {
        refused("mtv = 1", &["no setting mtv", "mtu"]);
        refused("[membership]\nprobe = '1s'", &["no setting membership.probe;", "probe_interval"]);
        refused("[membership]\nprobe_interval = 5", &["membership.probe_interval is 5", "duration"]);
        refused("[membership]\nprobe_interval = '5 parsecs'", &["membership.probe_interval", "5 parsecs"]);
        refused("[membership]\nbuddy = 1", &["membership.buddy is 1", "a boolean"]);
        refused("mtu = -1", &["mtu is -1"]);
        refused("mtu = 70000", &["mtu", "70000"]);
    }

    #[test]
    fn every_setting_of_the_broadcast_can_be_given() {
        let config = over(
            "[broadcast]\npreset = 'bimodal'\n\
             first = { multicast = { group = '239.1.2.3:7947' } }\n\
             repair = { rounds = { rounds = 20, beta = { of = 1, out_of = 4 }, period = '50ms' } }\n\
             persist_seen = { every = '1s' }\norder = 'origin'\nkeep_rounds = 10\nlost_peers = 5",
        );
        let mut expected = BroadcastConfig::bimodal();
        expected.first = FirstPhase::Multicast { group: Some("239.1.2.3:7947".parse().expect("an address")) };
        let Repair::Rounds(rounds) = &mut expected.repair else { panic!("bimodal repairs in rounds") };
        (rounds.rounds, rounds.beta, rounds.period) =
            (20, Ratio { of: 1, out_of: 4 }, Duration::from_millis(50));
        expected.persist_seen = PersistSeen::Every(Duration::from_secs(1));
        (expected.order, expected.keep_rounds, expected.lost_peers) = (Order::Origin, Some(10), 5);
        assert_eq!(config.expect("valid").broadcast, expected);
    }

    #[test]
    fn a_phase_is_chosen_by_its_name() {
        let broadcast = |text: &str| over(&format!("[broadcast]\n{text}")).expect("valid").broadcast;
        for (name, preset) in [
            ("tree", BroadcastConfig::tree()),
            ("bimodal", BroadcastConfig::bimodal()),
            ("push-ack", BroadcastConfig::push_ack()),
            ("pull", BroadcastConfig::pull()),
        ] {
            assert_eq!(broadcast(&format!("preset = '{name}'")), preset);
        }
        assert_eq!(broadcast("first = 'push'").first, BroadcastConfig::push_ack().first);
        assert_eq!(broadcast("first = { tree = { fanout = 7 } }").first, FirstPhase::Tree { fanout: 7 });
        assert_eq!(broadcast("first = 'multicast'").first, FirstPhase::Multicast { group: None });
        assert_eq!(broadcast("first = 'none'").first, FirstPhase::None);
        assert_eq!(broadcast("repair = 'pull'").repair, BroadcastConfig::pull().repair);
        assert_eq!(broadcast("repair = 'none'").repair, Repair::None);
        let rounds = broadcast("repair = { rounds = {} }").repair;
        assert_eq!(rounds, BroadcastConfig::tree().repair, "a choice that is unchanged keeps its settings");
        assert_eq!(broadcast("persist_seen = 'before-delivery'").persist_seen, PersistSeen::BeforeDelivery);
    }

    #[test]
    fn an_error_in_the_broadcast_names_the_setting() {
        refused("[broadcast]\npreset = 'flood'", &["broadcast.preset is \"flood\"", "push-ack"]);
        refused("[broadcast]\nfirst = 'flood'", &["broadcast.first is \"flood\"", "multicast"]);
        refused("[broadcast]\nfirst = 5", &["broadcast.first is 5"]);
        refused(
            "[broadcast]\nfirst = { push = { fan = 1 } }",
            &["no setting broadcast.first.push.fan;", "fanout"],
        );
        refused("[broadcast]\nfirst = { push = 3 }", &["broadcast.first.push is 3"]);
        refused("[broadcast]\nfirst = { none = { fanout = 3 } }", &["broadcast.first.none has no settings"]);
        refused(
            "[broadcast]\nfirst = { multicast = { group = 'here' } }",
            &["broadcast.first", "socket address"],
        );
        refused(
            "[broadcast]\nrepair = { rounds = { period = 5 } }",
            &["broadcast.repair.rounds.period is 5"],
        );
        refused("[broadcast]\norder = 'fifo'", &["order", "fifo"]);
        refused("[broadcast]\nkeep_rounds = -1", &["broadcast.keep_rounds is -1"]);
        refused("[broadcast]\nlost_peers = 300", &["lost_peers", "300"]);
    }
}
