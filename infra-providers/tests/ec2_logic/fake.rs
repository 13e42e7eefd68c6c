//! A small EC2 in memory behind the seam: names are unique, tokens replay, and any call can be made to fail before
//! or after it is done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::Said;
use infra_core::nouns::request::Arch;
use infra_core::testing::VirtualClock;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::Region;
use infra_providers::aws::api::{
    Answer, ApiFailure, AssumeRole, Caller, Ec2Api, Group, ImageQuery, Instance, KeyPair, MachineImage,
    MachineType, NewGroup, NewKeyPair, Page, PriceListAsk, Reached, RunInstances, SpotPrice, Tags,
    TemporaryKeys, Which,
};
use infra_providers::aws::{Ec2Connector, StaticKeys};

/// When a planted failure strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) machines: Vec<Instance>,
    pub(crate) groups: Vec<Group>,
    pub(crate) pairs: Vec<KeyPair>,
    pub(crate) runs: Vec<RunInstances>,
    pub(crate) calls: Vec<&'static str>,
    pub(crate) failures: Vec<(&'static str, When, ApiFailure)>,
    /// Items per page of a listing.
    pub(crate) page: usize,
    /// Seconds of every `Date`, rising by one with each listing.
    pub(crate) date: i64,
    /// Products of the Price List, `HERE` for the region that is asked about.
    pub(crate) listed: Vec<String>,
    /// Rows of the spot market, of Linux where they name no product.
    pub(crate) sold: Vec<SpotPrice>,
    /// Images that EC2 charges for, with its word for what they boot.
    pub(crate) platforms: Vec<(&'static str, &'static str)>,
    /// RunInstances answers this many machines too few.
    pub(crate) withheld: usize,
    made: u32,
}

#[derive(Debug, Default)]
pub(crate) struct FakeEc2 {
    pub(crate) world: Mutex<World>,
    /// Moved by ten seconds with every look at an image.
    pub(crate) clock: Option<Arc<VirtualClock>>,
}

pub(crate) fn failure(reached: Reached, code: &str) -> ApiFailure {
    let said = Said { code: code.into(), message: "planted".into(), request_id: Some("req-7".into()) };
    ApiFailure { reached, said, retry_after: None }
}

pub(crate) fn refusal(code: &str) -> ApiFailure {
    failure(Reached::Answered(400), code)
}

impl FakeEc2 {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().expect("no test panics while it looks"))
    }

    pub(crate) fn plant(&self, call: &'static str, when: When, failure: ApiFailure) {
        self.with(|world| world.failures.push((call, when, failure)));
    }

    fn call<T>(&self, name: &'static str, does: impl FnOnce(&mut World) -> Answer<T>) -> Answer<T> {
        self.with(|world| {
            world.calls.push(name);
            let planted = world.failures.iter().position(|(call, ..)| *call == name);
            match planted.map(|at| world.failures.remove(at)) {
                Some((_, When::Before, failure)) => Err(failure),
                Some((_, When::After, failure)) => does(world).and(Err(failure)),
                None => does(world),
            }
        })
    }
}

impl World {
    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}-{:04}", self.made)
    }

    fn paged<T: Clone>(&mut self, found: Vec<T>, page: Option<String>) -> Page<T> {
        let from: usize = page.map_or(0, |page| page.parse().expect("our own marker"));
        let size = if self.page == 0 { usize::MAX } else { self.page };
        let next = from.checked_add(size).filter(|next| *next < found.len()).map(|next| next.to_string());
        self.date += 1;
        let as_of = Timestamp::from_second(self.date).ok();
        Page { items: found.into_iter().skip(from).take(size).collect(), next, as_of }
    }
}

fn wanted<T: Clone>(
    all: &[T],
    which: &Which,
    missing: &str,
    facts: impl Fn(&T) -> (String, String, Option<String>, Tags),
) -> Answer<Vec<T>> {
    let of = |wanted: &dyn Fn(&T) -> bool| all.iter().filter(|one| wanted(one)).cloned().collect::<Vec<_>>();
    match which {
        Which::Ids(ids) if ids.iter().any(|id| !all.iter().any(|one| facts(one).0 == *id)) => {
            Err(refusal(missing))
        }
        Which::Ids(ids) => Ok(of(&|one| ids.contains(&facts(one).0))),
        Which::Name(name) => Ok(of(&|one| facts(one).1 == *name)),
        Which::ClientToken(token) => Ok(of(&|one| facts(one).2.as_ref() == Some(token))),
        Which::Tag { key, value } => Ok(of(&|one| facts(one).3.get(key) == Some(value))),
    }
}

#[async_trait]
impl Ec2Api for FakeEc2 {
    async fn caller_identity(&self) -> Answer<Caller> {
        self.call("identity", |_| {
            Ok(Caller { account: "123456789012".into(), arn: "arn:aws:iam::123456789012:user/ada".into() })
        })
    }

    async fn assume_role(&self, _: &AssumeRole) -> Answer<TemporaryKeys> {
        self.call("assume-role", |_| Err(refusal("AccessDenied")))
    }

    async fn run_instances(&self, ask: &RunInstances, _: Duration) -> Answer<Vec<Instance>> {
        self.call("run", |world| {
            world.runs.push(ask.clone());
            let same = |one: &&Instance| {
                one.client_token.as_ref() == Some(&ask.token) && one.zone.as_ref() == Some(&ask.zone)
            };
            let standing: Vec<_> = world.machines.iter().filter(same).cloned().collect();
            if !standing.is_empty() {
                return Ok(standing);
            }
            let made: Vec<_> = (0..ask.count)
                .map(|_| Instance {
                    id: world.id("i"),
                    state: "pending".into(),
                    client_token: Some(ask.token.clone()),
                    zone: Some(ask.zone.clone()),
                    type_name: Some(ask.type_name.clone()),
                    image: Some(ask.image.clone()),
                    launched_at: Timestamp::from_second(2000).ok(),
                    attached_at: Timestamp::from_second(1000).ok(),
                    tags: ask.tags.clone(),
                    ..Instance::default()
                })
                .collect();
            world.machines.extend(made.clone());
            Ok(made.into_iter().skip(world.withheld).collect())
        })
    }

    async fn describe_instances(&self, which: &Which, page: Option<String>) -> Answer<Page<Instance>> {
        self.call("machines", |world| {
            let found = wanted(&world.machines, which, "InvalidInstanceID.NotFound", |one| {
                (one.id.clone(), String::new(), one.client_token.clone(), one.tags.clone())
            })?;
            Ok(world.paged(found, page))
        })
    }

    async fn start_instance(&self, _: &str) -> Answer<()> {
        self.call("start", |_| Ok(()))
    }

    async fn stop_instance(&self, _: &str, _: bool) -> Answer<()> {
        self.call("stop", |_| Ok(()))
    }

    async fn terminate_instance(&self, id: &str) -> Answer<()> {
        self.call("terminate", |world| {
            let one = world.machines.iter_mut().find(|one| one.id == id);
            one.ok_or_else(|| refusal("InvalidInstanceID.NotFound"))?.state = "shutting-down".into();
            Ok(())
        })
    }

    async fn subnet_vpc(&self, _: &str) -> Answer<String> {
        self.call("subnet-vpc", |_| Ok("vpc-1".to_owned()))
    }

    async fn create_group(&self, ask: &NewGroup, _: Duration) -> Answer<String> {
        self.call("create-group", |world| {
            if world.groups.iter().any(|group| group.name == ask.name) {
                return Err(refusal("InvalidGroup.Duplicate"));
            }
            let id = world.id("sg");
            let (name, tags) = (ask.name.clone(), ask.tags.clone());
            world.groups.push(Group { id: id.clone(), name, tags, ..Group::default() });
            Ok(id)
        })
    }

    async fn authorize_ingress(&self, id: &str, cidrs: &[String], _: Duration) -> Answer<()> {
        self.call("authorize", |world| {
            let group = world.groups.iter_mut().find(|group| group.id == id);
            let group = group.ok_or_else(|| refusal("InvalidGroup.NotFound"))?;
            if cidrs.iter().any(|cidr| group.open_to.contains(cidr)) {
                return Err(refusal("InvalidPermission.Duplicate"));
            }
            group.open_to.extend_from_slice(cidrs);
            Ok(())
        })
    }

    async fn describe_groups(&self, which: &Which, page: Option<String>) -> Answer<Page<Group>> {
        self.call("groups", |world| {
            let found = wanted(&world.groups, which, "InvalidGroup.NotFound", |one| {
                (one.id.clone(), one.name.clone(), None, one.tags.clone())
            })?;
            Ok(world.paged(found, page))
        })
    }

    async fn delete_group(&self, id: &str) -> Answer<()> {
        self.call("delete-group", |world| {
            let at = world.groups.iter().position(|group| group.id == id);
            world.groups.remove(at.ok_or_else(|| refusal("InvalidGroup.NotFound"))?);
            Ok(())
        })
    }

    async fn import_key_pair(&self, ask: &NewKeyPair, _: Duration) -> Answer<String> {
        self.call("import", |world| {
            if world.pairs.iter().any(|pair| pair.name == ask.name) {
                return Err(refusal("InvalidKeyPair.Duplicate"));
            }
            let id = world.id("key");
            let NewKeyPair { name, public_key, tags } = ask.clone();
            let public_key = Some(public_key);
            world.pairs.push(KeyPair { id: id.clone(), name, public_key, created_at: None, tags });
            Ok(id)
        })
    }

    async fn describe_key_pairs(&self, which: &Which) -> Answer<Page<KeyPair>> {
        self.call("pairs", |world| {
            let found = wanted(&world.pairs, which, "InvalidKeyPair.NotFound", |one| {
                (one.id.clone(), one.name.clone(), None, one.tags.clone())
            })?;
            world.date += 1;
            Ok(Page { items: found, next: None, as_of: Timestamp::from_second(world.date).ok() })
        })
    }

    async fn delete_key_pair(&self, id: &str) -> Answer<()> {
        self.call("delete-pair", |world| {
            world.pairs.retain(|pair| pair.id != id);
            Ok(())
        })
    }

    async fn create_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        self.call("tag", |world| {
            let one = world.machines.iter_mut().find(|one| one.id == id);
            one.ok_or_else(|| refusal("InvalidInstanceID.NotFound"))?.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn delete_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        self.call("untag", |world| {
            let one = world.machines.iter_mut().find(|one| one.id == id);
            let one = one.ok_or_else(|| refusal("InvalidInstanceID.NotFound"))?;
            one.tags.retain(|key, value| tags.get(key) != Some(value));
            Ok(())
        })
    }

    async fn describe_types(&self, page: Option<String>) -> Answer<Page<MachineType>> {
        let one = |name: &str, archs: &[Arch], spot| MachineType {
            name: name.into(),
            vcpus: 2,
            memory_mib: 1024,
            archs: archs.to_vec(),
            gpus: 0,
            gpu_model: None,
            gpu_memory_mib: 0,
            local_disk_gb: if name == "t4g.micro" { 75 } else { 0 },
            burstable: name.starts_with('t'),
            spot,
        };
        let types = vec![
            one("t3.micro", &[Arch::X86_64], true),
            one("t4g.micro", &[Arch::Arm64], false),
            one("mac1.metal", &[], false),
            one("t9.nowhere", &[Arch::X86_64], false),
        ];
        self.call("types", |world| Ok(world.paged(types, page)))
    }

    async fn describe_type_zones(&self, page: Option<String>) -> Answer<Page<(String, String)>> {
        let zones = ["t3.micro", "t4g.micro", "mac1.metal"].map(|name| (name.into(), "us-east-1b".into()));
        let zones = zones.into_iter().chain([("t3.micro".into(), "us-east-1a".into())]).collect();
        self.call("type-zones", |world| Ok(world.paged(zones, page)))
    }

    async fn describe_images(&self, query: &ImageQuery, page: Option<String>) -> Answer<Page<MachineImage>> {
        if let Some(clock) = &self.clock {
            clock.advance(Duration::from_secs(10));
        }
        let platforms = self.with(|world| world.platforms.clone());
        let platform = |id: &str| platforms.iter().find(|(image, _)| *image == id);
        let image = |id: &str, arch, day: i64| MachineImage {
            id: id.into(),
            name: id.into(),
            arch: Some(arch),
            created_at: Timestamp::from_second(day * 86_400).ok(),
            platform: platform(id).map(|(_, word)| (*word).into()),
            root_device: Some("/dev/sda1".into()),
            devices: vec!["/dev/sda1".into(), "/dev/sdb".into()],
            root_gib: Some(30),
        };
        let all = vec![
            image("ami-1", Arch::X86_64, 1),
            image("ami-2", Arch::X86_64, 2),
            image("ami-3", Arch::Arm64, 3),
        ];
        self.call("images", |world| match query {
            ImageQuery::Id(id) if !all.iter().any(|image| image.id == *id) => {
                Err(refusal("InvalidAMIID.NotFound"))
            }
            ImageQuery::Id(id) => {
                Ok(world.paged(all.into_iter().filter(|image| image.id == *id).collect(), None))
            }
            ImageQuery::Named { pattern, .. } if pattern == "ami-*" => Ok(world.paged(all, page)),
            ImageQuery::Named { .. } => Ok(world.paged(Vec::new(), page)),
        })
    }

    async fn price_list(&self, ask: &PriceListAsk, page: Option<String>) -> Answer<Page<String>> {
        let region = |(name, _): &&(&str, String)| *name == "regionCode";
        let here = ask.attributes.iter().find(region).map(|(_, value)| value.clone()).unwrap_or_default();
        self.call("price-list", |world| {
            let listed = world.listed.iter().map(|document| document.replace("HERE", &here)).collect();
            Ok(world.paged(listed, page))
        })
    }

    async fn spot_prices(
        &self,
        product: &str,
        _: Timestamp,
        page: Option<String>,
    ) -> Answer<Page<SpotPrice>> {
        self.call("spot-prices", |world| {
            // EC2 takes a product and the same one in a VPC for one.
            let linux = |row: &SpotPrice| row.product.is_empty() && product == "Linux/UNIX";
            let of =
                |row: &&SpotPrice| linux(row) || row.product.strip_suffix(" (Amazon VPC)") == Some(product);
            let named = |row: &SpotPrice| match row.product.as_str() {
                "" => SpotPrice { product: product.to_owned(), ..row.clone() },
                _ => row.clone(),
            };
            let sold = world.sold.iter().filter(of).map(named).collect();
            Ok(world.paged(sold, page))
        })
    }
}

/// Always connects to one world.
#[derive(Debug)]
pub(crate) struct ToFake(pub(crate) Arc<FakeEc2>);

impl Ec2Connector for ToFake {
    fn connect(&self, _: StaticKeys, _: &Region) -> Arc<dyn Ec2Api> {
        Arc::clone(&self.0) as Arc<dyn Ec2Api>
    }
}
