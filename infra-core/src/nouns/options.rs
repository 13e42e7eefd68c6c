//! What a machine may be made with that not every cloud has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cloud::PowerMode;

/// Wishes that only some clouds can fulfil. A lane whose catalogue does not name an option that was asked for is not
/// quoted: silently ignoring a wish is worse than refusing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MachineOptions {
    /// The network by the cloud's id: a subnet at AWS, a VPC at DigitalOcean, a network at OpenStack, where `auto`
    /// (one is made or chosen by the cloud) and `none` are words, too. The cloud's default when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "utoipa",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")
    )]
    pub network: Option<String>,
    /// The instance profile by name: which rights programs on the machine have at the cloud (AWS).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "utoipa",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")
    )]
    pub profile: Option<String>,
    /// Metadata on a disk instead of at an address (OpenStack).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_drive: Option<bool>,
    /// How it is turned off; the cloud's first way when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::ways_off))]
    pub off: Option<PowerMode>,
    /// Files that stand on the disk before the first boot, by absolute path (OpenStack's personality). Sealed at rest
    /// like `setup`; a record's copy of the request keeps the paths alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::files))]
    pub files: BTreeMap<String, String>,
}

/// The name of one option, as a catalogue lists what its lane takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineOption {
    /// [`MachineOptions::network`].
    Network,
    /// [`MachineOptions::profile`].
    Profile,
    /// [`MachineOptions::config_drive`].
    ConfigDrive,
    /// [`MachineOptions::files`].
    Files,
    /// [`MachineOptions::off`] with this way.
    Off(PowerMode),
}

impl MachineOption {
    /// The request's field.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Network => "options.network",
            Self::Profile => "options.profile",
            Self::ConfigDrive => "options.config_drive",
            Self::Files => "options.files",
            Self::Off(_) => "options.off",
        }
    }
}

impl MachineOptions {
    /// Which options were asked for.
    #[must_use]
    pub fn asked(&self) -> Vec<MachineOption> {
        let asked = [
            self.network.as_ref().map(|_| MachineOption::Network),
            self.profile.as_ref().map(|_| MachineOption::Profile),
            self.config_drive.filter(|asked| *asked).map(|_| MachineOption::ConfigDrive),
            (!self.files.is_empty()).then_some(MachineOption::Files),
            self.off.map(MachineOption::Off),
        ];
        asked.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wish_is_seen_and_nothing_else() {
        assert!(MachineOptions::default().asked().is_empty());
        let all = MachineOptions {
            network: Some("none".to_owned()),
            profile: Some("web".to_owned()),
            config_drive: Some(true),
            off: Some(PowerMode::Shelve),
            files: BTreeMap::from([("/etc/motd".to_owned(), "hello".to_owned())]),
        };
        let fields: Vec<_> = all.asked().into_iter().map(MachineOption::field).collect();
        let wire = serde_json::to_value(&all).expect("plain data");
        let named: Vec<_> =
            wire.as_object().expect("an object").keys().map(|key| format!("options.{key}")).collect();
        let mut sorted: Vec<_> = fields.iter().map(ToString::to_string).collect();
        sorted.sort();
        assert_eq!(sorted, named, "an option without a name would be ignored silently");
        let no = MachineOptions { config_drive: Some(false), ..MachineOptions::default() };
        assert!(no.asked().is_empty(), "said no is not asked for");
    }
}
