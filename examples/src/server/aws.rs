//! From our settings to the AWS driver's.

use std::time::Duration;

use infra_core::words::lane::Endpoint;
use infra_providers::aws::{AwsSettings, ImageSource};

use super::file::{CloudSettings, ImageFile};

/// AWS as set: its own addresses, region and images unless said otherwise.
pub(super) fn settings(cloud: &CloudSettings) -> AwsSettings {
    let mut aws = AwsSettings::default();
    aws.endpoint = Endpoint(cloud.endpoint.clone().unwrap_or_default());
    aws.simulated = cloud.simulated;
    if let Some(seconds) = cloud.visible_within_s {
        aws.visible_within = Duration::from_secs(seconds);
    }
    if !cloud.regions.is_empty() {
        aws.regions.clone_from(&cloud.regions);
    }
    if !cloud.images.is_empty() {
        let source = |ImageFile { os, owner, pattern, arch }| ImageSource { os, owner, pattern, arch };
        aws.images = cloud.images.iter().cloned().map(source).collect();
    }
    aws
}
