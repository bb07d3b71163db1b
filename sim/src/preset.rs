//! The presets of the core by name.

use bruit_core::{BroadcastConfig, Config};
use serde::{Deserialize, Serialize};

/// A configuration preset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// One machine.
    Local,
    /// One data centre.
    #[default]
    Lan,
    /// Across continents.
    Wan,
    /// hashicorp/memberlist's for one data centre.
    MemberlistLan,
    /// hashicorp/memberlist's across continents.
    MemberlistWan,
}

impl Preset {
    /// Its configuration for a cluster of this name.
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

/// A way of broadcasting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BroadcastPreset {
    /// That of the configuration preset.
    #[default]
    AsConfigured,
    /// Unreliable multicast, then anti-entropy.
    Bimodal,
    /// Push with acknowledgements.
    PushAck,
    /// Nothing unasked.
    Pull,
    /// Along a learnt tree.
    Tree,
}

impl BroadcastPreset {
    /// Puts it into a configuration.
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
