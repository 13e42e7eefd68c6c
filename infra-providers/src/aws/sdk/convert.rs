//! The SDK's shapes as ours and back.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types as ec2;
use infra_core::nouns::request::Arch;
use infra_core::words::clock::Timestamp;

use super::failure::lacking;
use crate::aws::api::{
    Answer, Disk, Group, Instance, KeyPair, MachineImage, MachineType, RunInstances, SpotPrice, Tags,
};

fn time(at: DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

fn tags_from(tags: Option<Vec<ec2::Tag>>) -> Tags {
    let pair = |tag: ec2::Tag| Some((tag.key?, tag.value.unwrap_or_default()));
    tags.unwrap_or_default().into_iter().filter_map(pair).collect()
}

pub(super) fn tags_to(tags: &Tags) -> Vec<ec2::Tag> {
    tags.iter().map(|(key, value)| ec2::Tag::builder().key(key).value(value).build()).collect()
}

pub(super) fn tag_specification(on: ec2::ResourceType, tags: &Tags) -> ec2::TagSpecification {
    ec2::TagSpecification::builder().resource_type(on).set_tags(Some(tags_to(tags))).build()
}

/// Fills in every field of the call.
pub(super) fn run_instances(
    call: RunInstancesFluentBuilder,
    ask: &RunInstances,
) -> RunInstancesFluentBuilder {
    let interface = ec2::InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .associate_public_ip_address(ask.public_address)
        .delete_on_termination(true)
        .set_groups(Some(ask.groups.clone()).filter(|groups| !groups.is_empty()))
        .set_subnet_id(ask.subnet.clone())
        .build();
    // Version 2 of the metadata service: first-boot data is out of reach of a tricked web server on the machine.
    let metadata = ec2::InstanceMetadataOptionsRequest::builder()
        .http_tokens(ec2::HttpTokensState::Required)
        .http_endpoint(ec2::InstanceMetadataEndpointState::Enabled)
        .build();
    let call = call
        .client_token(&ask.token)
        .min_count(i32::from(ask.count))
        .max_count(i32::from(ask.count))
        .placement(ec2::Placement::builder().availability_zone(&ask.zone).build())
        .instance_type(ec2::InstanceType::from(ask.type_name.as_str()))
        .image_id(&ask.image)
        .set_block_device_mappings(Some(ask.disks.iter().map(disk).collect()))
        .network_interfaces(interface)
        .metadata_options(metadata)
        .set_key_name(ask.key_name.clone())
        .set_iam_instance_profile(ask.profile.as_ref().map(profile))
        .set_hibernation_options(ask.hibernate.then(hibernation))
        .set_user_data(ask.user_data.as_ref().map(|data| data.expose().to_owned()))
        .tag_specifications(tag_specification(ec2::ResourceType::Instance, &ask.tags))
        .tag_specifications(tag_specification(ec2::ResourceType::Volume, &ask.tags));
    if ask.spot {
        // A one-time request, never a persistent one, which would buy again after every ending. What a shutdown from
        // inside does cannot be chosen for these: it ends them.
        call.instance_market_options(one_time_spot(ask.spot_max.clone()))
    } else {
        call.instance_initiated_shutdown_behavior(ec2::ShutdownBehavior::Stop)
    }
}

fn profile(name: &String) -> ec2::IamInstanceProfileSpecification {
    ec2::IamInstanceProfileSpecification::builder().name(name).build()
}

fn hibernation() -> ec2::HibernationOptionsRequest {
    ec2::HibernationOptionsRequest::builder().configured(true).build()
}

fn one_time_spot(most: Option<String>) -> ec2::InstanceMarketOptionsRequest {
    let options = ec2::SpotMarketOptions::builder()
        .spot_instance_type(ec2::SpotInstanceType::OneTime)
        .set_max_price(most)
        .instance_interruption_behavior(ec2::InstanceInterruptionBehavior::Terminate)
        .build();
    ec2::InstanceMarketOptionsRequest::builder()
        .market_type(ec2::MarketType::Spot)
        .spot_options(options)
        .build()
}

fn disk(disk: &Disk) -> ec2::BlockDeviceMapping {
    let ebs = ec2::EbsBlockDevice::builder()
        .delete_on_termination(true)
        .set_encrypted(disk.encrypted.then_some(true))
        .set_volume_size(disk.size_gib.map(|gib| i32::try_from(gib).unwrap_or(i32::MAX)))
        .build();
    ec2::BlockDeviceMapping::builder().device_name(&disk.device).ebs(ebs).build()
}

/// Every protocol and port, from these blocks.
pub(super) fn every_port_from(cidrs: &[String]) -> ec2::IpPermission {
    let (six, four): (Vec<&String>, Vec<_>) = cidrs.iter().partition(|block| block.contains(':'));
    let four = four.into_iter().map(|block| ec2::IpRange::builder().cidr_ip(block).build());
    let six = six.into_iter().map(|block| ec2::Ipv6Range::builder().cidr_ipv6(block).build());
    ec2::IpPermission::builder()
        .ip_protocol("-1")
        .set_ip_ranges(Some(four.collect()))
        .set_ipv6_ranges(Some(six.collect()))
        .build()
}

pub(super) fn instance(one: ec2::Instance) -> Answer<Instance> {
    let interfaces = one.network_interfaces.unwrap_or_default().into_iter();
    let attachments = interfaces.filter_map(|interface| interface.attachment);
    let primary = attachments.filter(|attachment| attachment.device_index == Some(0));
    let reason = one.state_reason.and_then(|reason| Some((reason.code?, reason.message.unwrap_or_default())));
    Ok(Instance {
        id: one.instance_id.ok_or_else(|| lacking("instanceId"))?,
        state: one
            .state
            .and_then(|state| state.name)
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        client_token: one.client_token.filter(|token| !token.is_empty()),
        type_name: one.instance_type.map(|name| name.as_str().to_owned()),
        image: one.image_id,
        zone: one.placement.and_then(|placement| placement.availability_zone),
        public_address: one.public_ip_address.filter(|address| !address.is_empty()),
        private_address: one.private_ip_address.filter(|address| !address.is_empty()),
        launched_at: one.launch_time.and_then(time),
        attached_at: primary.filter_map(|attachment| attachment.attach_time).filter_map(time).min(),
        reason,
        tags: tags_from(one.tags),
    })
}

pub(super) fn group(one: ec2::SecurityGroup) -> Answer<Group> {
    let (mut open_to, mut other_ingress) = (Vec::new(), false);
    for rule in one.ip_permissions.unwrap_or_default() {
        let four = rule.ip_ranges.unwrap_or_default().into_iter().filter_map(|range| range.cidr_ip);
        let six = rule.ipv6_ranges.unwrap_or_default().into_iter().filter_map(|range| range.cidr_ipv6);
        let blocks: Vec<_> = four.chain(six).collect();
        let every_port = rule.ip_protocol.as_deref() == Some("-1");
        let others = rule.user_id_group_pairs.is_some_and(|pairs| !pairs.is_empty())
            || rule.prefix_list_ids.is_some_and(|lists| !lists.is_empty());
        other_ingress |= others || (!every_port && !blocks.is_empty());
        if every_port {
            open_to.extend(blocks);
        }
    }
    Ok(Group {
        id: one.group_id.ok_or_else(|| lacking("groupId"))?,
        name: one.group_name.unwrap_or_default(),
        open_to,
        other_ingress,
        tags: tags_from(one.tags),
    })
}

pub(super) fn key_pair(one: ec2::KeyPairInfo) -> Answer<KeyPair> {
    Ok(KeyPair {
        id: one.key_pair_id.ok_or_else(|| lacking("keyPairId"))?,
        name: one.key_name.unwrap_or_default(),
        public_key: one.public_key.filter(|key| !key.is_empty()),
        created_at: one.create_time.and_then(time),
        tags: tags_from(one.tags),
    })
}

/// A type; `None` when EC2 does not say what it has.
pub(super) fn machine_type(one: ec2::InstanceTypeInfo) -> Option<MachineType> {
    let archs = one.processor_info.and_then(|info| info.supported_architectures).unwrap_or_default();
    let gpus = one.gpu_info.and_then(|info| info.gpus).unwrap_or_default();
    let usage = one.supported_usage_classes.unwrap_or_default();
    let counts = gpus.iter().filter_map(|gpu| gpu.count).filter_map(|count| u32::try_from(count).ok());
    Some(MachineType {
        name: one.instance_type?.as_str().to_owned(),
        vcpus: u32::try_from(one.v_cpu_info?.default_v_cpus?).ok()?,
        memory_mib: u64::try_from(one.memory_info?.size_in_mib?).ok()?,
        archs: archs.iter().filter_map(|arch| arch_of(arch.as_str())).collect(),
        gpus: counts.sum(),
        gpu_model: gpus.iter().find_map(|gpu| gpu.name.clone()),
        gpu_memory_mib: gpus
            .iter()
            .filter_map(|gpu| u64::try_from(gpu.memory_info.as_ref()?.size_in_mib?).ok())
            .max()
            .unwrap_or(0),
        local_disk_gb: one
            .instance_storage_info
            .and_then(|disks| u64::try_from(disks.total_size_in_gb?).ok())
            .unwrap_or(0),
        burstable: one.burstable_performance_supported.unwrap_or(false),
        spot: usage.iter().any(|class| class.as_str() == "spot"),
    })
}

/// An image; `None` when it has no id.
pub(super) fn image(one: ec2::Image) -> Option<MachineImage> {
    let mappings = one.block_device_mappings.unwrap_or_default();
    let root = mappings.iter().find(|disk| disk.device_name == one.root_device_name);
    let root_gib = root.and_then(|disk| u32::try_from(disk.ebs.as_ref()?.volume_size?).ok());
    let mappings = mappings.into_iter();
    Some(MachineImage {
        id: one.image_id?,
        name: one.name.unwrap_or_default(),
        arch: one.architecture.and_then(|arch| arch_of(arch.as_str())),
        created_at: one.creation_date.and_then(|text| text.parse().ok()),
        platform: one.platform_details.filter(|details| !details.is_empty()),
        root_device: one.root_device_name,
        // Ephemeral disks have no EBS part: they go with the machine whatever the call says.
        devices: mappings.filter(|disk| disk.ebs.is_some()).filter_map(|disk| disk.device_name).collect(),
        root_gib,
    })
}

/// One attribute that a product must have; `None` never for whole ones.
pub(super) fn product_filter(name: &str, value: &str) -> Option<aws_sdk_pricing::types::Filter> {
    let is = aws_sdk_pricing::types::FilterType::TermMatch;
    aws_sdk_pricing::types::Filter::builder().r#type(is).field(name).value(value).build().ok()
}

/// A row of the spot market; `None` when it does not say what it is of.
pub(super) fn spot_price(one: ec2::SpotPrice) -> Option<SpotPrice> {
    Some(SpotPrice {
        type_name: one.instance_type?.as_str().to_owned(),
        zone: one.availability_zone?,
        product: one.product_description?.as_str().to_owned(),
        price: one.spot_price.unwrap_or_default(),
        since: one.timestamp.and_then(time),
    })
}

fn arch_of(word: &str) -> Option<Arch> {
    match word {
        "x86_64" => Some(Arch::X86_64),
        "arm64" => Some(Arch::Arm64),
        _ => None,
    }
}
