//! The presets of the core by name, as scenarios and plans write them.

use bruit_core::{BroadcastConfig, Config};
use serde::{Deserialize, Serialize};

/// A configuration preset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `Config::local`: all members on one machine.
    Local,
    /// `Config::lan`: one data centre.
    #[default]
    Lan,
    /// `Config::wan`: across continents.
    Wan,
    /// `Config::memberlist_lan`: the settings of hashicorp/memberlist for one data centre.
    MemberlistLan,
    /// `Config::memberlist_wan`: the settings of hashicorp/memberlist across continents.
    MemberlistWan,
}

impl Preset {
    /// The configuration of this preset for a cluster of this name.
    #[must_use]
    pub fn config(self, cluster: &str) -> Config {
        match self {
            Self::Local => Config::local(cluster),
            Self::Lan => Config::lan(cluster),
            Self::Wan => Config::wan(cluster),
            Self::MemberlistLan => Config::memberlist_lan(cluster),
            Self::MemberlistWan => Config::memberlist_wan(cluster),
        }
    }
}

/// A preset for broadcasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BroadcastPreset {
    /// The broadcast settings of the configuration preset.
    #[default]
    AsConfigured,
    /// `BroadcastConfig::bimodal`: unreliable multicast, then anti-entropy.
    Bimodal,
    /// `BroadcastConfig::push_ack`: push with acknowledgements.
    PushAck,
    /// `BroadcastConfig::pull`: members ask for what they miss.
    Pull,
    /// `BroadcastConfig::tree`: along a tree that the members learn.
    Tree,
}

impl BroadcastPreset {
    /// Replaces the broadcast settings of a configuration by those of this preset.
    pub fn apply(self, config: &mut Config) {
        config.broadcast = match self {
            Self::AsConfigured => return,
            Self::Bimodal => BroadcastConfig::bimodal(),
            Self::PushAck => BroadcastConfig::push_ack(),
            Self::Pull => BroadcastConfig::pull(),
            Self::Tree => BroadcastConfig::tree(),
        };
    }
}
