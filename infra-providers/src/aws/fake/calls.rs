//! Every call of the seam, asked of the sim.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use infra_core::nouns::cloud::{Act, Cursor, Observed, PowerMode, ThingState};
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::{Catalogue, Offering};
use infra_core::nouns::request::Market;
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::ids::{LaunchToken, ResourceId, Zone};
use infra_core::words::lane::{Mark, ResourceKind};
use uuid::Uuid;

use super::refusal::missing;
use super::{OWNER, SESSION, Session, shapes};
use crate::aws::api::{
    AssumeRole, Caller, Ec2Api, Group, ImageQuery, Instance, KeyPair, MachineImage, MachineType, NewGroup,
    NewKeyPair, Page, PriceListAsk, RunInstances, SpotPrice, Tags, TemporaryKeys, Which,
};
use crate::failure::{Answer, ApiFailure, Reached, own};
use crate::sim::skin::{self, Answer as Said, Asked, Call, Port};

const MACHINE: ResourceKind = ResourceKind::Machine;
const GROUP: ResourceKind = ResourceKind::Firewall;
const PAIR: ResourceKind = ResourceKind::KeyPair;

impl Session {
    /// Writes the call down, checks temporary keys, and asks the sim.
    async fn ask(&self, name: &'static str, kind: ResourceKind, call: Call) -> Answer<Said> {
        self.ask_within(name, kind, call, Duration::MAX).await
    }

    /// The same, cut after `within`.
    async fn ask_within(
        &self,
        name: &'static str,
        kind: ResourceKind,
        call: Call,
        within: Duration,
    ) -> Answer<Said> {
        self.ec2.kept(|kept| kept.calls.push(name));
        // The socket write: whoever waits for it may be cancelled just here.
        tokio::task::yield_now().await;
        if let Some(token) = &self.keys.session_token {
            let until = self.ec2.kept(|kept| kept.sessions.get(token.expose()).copied());
            if until.is_none_or(|until| until <= self.ec2.world.now()) {
                return Err(self.refusal(400, "RequestExpired", "Request has expired."));
            }
        }
        let key = self.keys.access_key_id.expose().to_owned();
        let asked = Asked { key, region: self.region.clone(), call };
        let clock = self.ec2.world.clock();
        let began = clock.mono();
        match select(self.ec2.world.call(asked), clock.sleep(within)).await {
            // A clock that is moved by whoever sleeps on it has moved before the other could be woken.
            Either::Left((said, _)) if clock.mono().saturating_sub(began) < within => {
                said.map_err(|error| self.refused(kind, error))
            }
            _ => {
                let said = own("no-answer", "the call was cut");
                Err(ApiFailure { reached: Reached::Maybe, said, retry_after: None })
            }
        }
    }

    /// An answer of another call than was asked.
    fn astray(&self) -> ApiFailure {
        self.refusal(500, "InternalError", "the sim answered another call")
    }

    /// A call that creates, cut after `within`.
    async fn create(
        &self,
        name: &'static str,
        frozen: FrozenLaunch,
        user_data: Option<String>,
        within: Duration,
    ) -> Answer<Vec<Observed>> {
        let kind = frozen.body.kind();
        let call = Call::Launch { frozen: Box::new(frozen), user_data };
        match self.ask_within(name, kind, call, within).await? {
            Said::Things(made) => Ok(made),
            _ => Err(self.astray()),
        }
    }

    /// One page of what a look-up asks for.
    async fn look(
        &self,
        name: &'static str,
        kind: ResourceKind,
        which: &Which,
        page: Option<String>,
    ) -> Answer<(Vec<Observed>, Option<String>)> {
        match which {
            Which::Ids(ids) => Ok((self.by_ids(name, kind, ids).await?, None)),
            Which::ClientToken(token) => {
                let Ok(token) = token.parse() else { return Ok((Vec::new(), None)) };
                self.find(name, kind, token, String::new()).await
            }
            // Only machines may share a name: theirs is a tag.
            Which::Name(wanted) if kind != MACHINE => {
                self.find(name, kind, LaunchToken(Uuid::nil()), wanted.clone()).await
            }
            Which::Name(wanted) => self.tagged(name, kind, ("Name", wanted), page).await,
            Which::Tag { key, value } => self.tagged(name, kind, (key, value), page).await,
        }
    }

    /// One unknown id fails the call for all.
    async fn by_ids(&self, name: &'static str, kind: ResourceKind, ids: &[String]) -> Answer<Vec<Observed>> {
        let unknown = |id: &str| self.refusal(400, missing(kind), format!("The ID '{id}' does not exist"));
        let named = |id: &String| ResourceId::new(id.clone()).map_err(|_| unknown(id));
        let asked = ids.iter().map(named).collect::<Answer<Vec<_>>>()?;
        let Said::Sightings(seen) = self.ask(name, kind, Call::Get { kind, ids: asked }).await? else {
            return Err(self.astray());
        };
        // The end of a machine is shown for a while; a group or key pair is gone at once.
        let there = |one: &Observed| kind == MACHINE || one.state != ThingState::Ended;
        seen.into_iter().zip(ids).map(|(seen, id)| seen.filter(there).ok_or_else(|| unknown(id))).collect()
    }

    async fn find(
        &self,
        of: &'static str,
        kind: ResourceKind,
        token: LaunchToken,
        name: String,
    ) -> Answer<(Vec<Observed>, Option<String>)> {
        let call = Call::Find { token, kind, name, since: Timestamp::UNIX_EPOCH };
        let Said::Things(found) = self.ask(of, kind, call).await? else { return Err(self.astray()) };
        Ok((found, None))
    }

    async fn tagged(
        &self,
        name: &'static str,
        kind: ResourceKind,
        (key, value): (&str, &String),
        page: Option<String>,
    ) -> Answer<(Vec<Observed>, Option<String>)> {
        let call = Call::List { kind, after: page.map(Cursor) };
        let Said::Page { mut items, next, .. } = self.ask(name, kind, call).await? else {
            return Err(self.astray());
        };
        // A page may be empty and not be the last.
        items.retain(|one| one.tags.get(key) == Some(value));
        Ok((items, next.map(|next| next.0)))
    }

    fn page<T>(&self, items: Vec<T>, next: Option<String>) -> Page<T> {
        Page { items, next, as_of: Some(self.ec2.now()) }
    }

    /// Shows machines. One that could not be built EC2 has ended by then.
    fn instances(&self, found: Vec<Observed>) -> Vec<Instance> {
        let show = |one: Observed| {
            if one.state == ThingState::Error {
                self.ec2.world.end_by_hand(&one.id);
                let why = one.fault.clone().unwrap_or_default();
                self.ec2.kept(|kept| kept.failed.insert(one.id.clone(), why));
            }
            self.ec2.kept(|kept| shapes::instance(one, kept))
        };
        found.into_iter().map(show).collect()
    }

    async fn order(&self, name: &'static str, kind: ResourceKind, id: &str, act: Act) -> Answer<()> {
        let (token, unknown) = (LaunchToken(Uuid::nil()), || self.refusal(400, missing(kind), "no such id"));
        let id = ResourceId::new(id).map_err(|_| unknown())?;
        let call = Call::Act { id, kind, mark: shapes::no_mark(token, kind), act };
        self.ask(name, kind, call).await.map(drop)
    }

    /// Tags count as marks, for the sim's rules.
    async fn tag(&self, name: &'static str, id: &str, tags: &Tags, act: Act) -> Answer<()> {
        let kind = match id.split('-').next() {
            Some("firewall") => GROUP,
            Some("key") => PAIR,
            _ => MACHINE,
        };
        let Some(mark) = Mark::from_tags(|key| tags.get(key).map(String::as_str)) else {
            return Err(self.refusal(400, "UnsupportedOperation", "only whole marks are written here"));
        };
        let id = ResourceId::new(id).map_err(|_| self.refusal(400, missing(kind), "no such id"))?;
        self.ask(name, kind, Call::Act { id, kind, mark, act }).await.map(drop)
    }

    async fn catalogue(&self, name: &'static str) -> Answer<Catalogue> {
        match self.ask(name, MACHINE, Call::Catalogue).await? {
            Said::Catalogue(catalogue) => Ok(*catalogue),
            _ => Err(self.astray()),
        }
    }

    /// A slice of a listing that the sim answers whole.
    fn sliced<T>(&self, all: impl Iterator<Item = T>, page: Option<&str>) -> Answer<Page<T>> {
        let from: usize = page
            .map_or(Ok(0), |page| page.parse())
            .map_err(|_| self.refusal(400, "InvalidParameterValue", "nextToken is not one of ours"))?;
        let size = self.ec2.world.config().page.max(1);
        let mut items: Vec<T> = all.skip(from).take(size + 1).collect();
        let next = (items.len() > size).then(|| (from + size).to_string());
        items.truncate(size);
        Ok(self.page(items, next))
    }

    fn group(&self, one: Observed) -> Group {
        let open_to = skin::blocks(&self.ec2.world, &one.id, |blocks| blocks.clone()).unwrap_or_default();
        let name = one.name.unwrap_or_default();
        Group { id: one.id.to_string(), name, open_to, other_ingress: false, tags: one.tags }
    }

    fn pair(&self, one: Observed) -> KeyPair {
        KeyPair {
            public_key: skin::body(&self.ec2.world, &one.id, public_key).flatten(),
            id: one.id.to_string(),
            name: one.name.unwrap_or_default(),
            created_at: Some(shapes::second(one.created_at)),
            tags: one.tags,
        }
    }
}

fn public_key(body: &LaunchBody) -> Option<String> {
    if let LaunchBody::KeyPair { public_key } = body { Some(public_key.clone()) } else { None }
}

/// The token in the tags, for the sim's records: the calls themselves have none.
fn attempt(tags: &Tags) -> LaunchToken {
    let mark = Mark::from_tags(|key| tags.get(key).map(String::as_str));
    mark.map_or(LaunchToken(Uuid::nil()), |mark| mark.token)
}

#[async_trait]
impl Ec2Api for Session {
    async fn caller_identity(&self) -> Answer<Caller> {
        match self.ask("GetCallerIdentity", MACHINE, Call::Identify).await? {
            Said::Identity { account, principal } => {
                Ok(Caller { account: account.to_string(), arn: principal })
            }
            _ => Err(self.astray()),
        }
    }

    async fn assume_role(&self, ask: &AssumeRole) -> Answer<TemporaryKeys> {
        self.ask("AssumeRole", MACHINE, Call::Identify).await?;
        let parts: Vec<&str> = ask.role_arn.split(':').collect();
        // A role whose name begins so trusts nobody who does not know it.
        let wanted = ask.role_arn.rsplit('/').next().filter(|name| name.starts_with("external-"));
        if wanted.is_some() && ask.external_id.as_deref() != wanted {
            let message = format!("not authorized to perform: sts:AssumeRole on resource: {}", ask.role_arn);
            return Err(self.refusal(403, "AccessDenied", message));
        }
        Ok(self.ec2.issue(parts.get(4).copied().unwrap_or_default(), SESSION))
    }

    async fn run_instances(&self, ask: &RunInstances, within: Duration) -> Answer<Vec<Instance>> {
        self.check_subnet(ask)?;
        shapes::disks_fit(ask).map_err(|why| self.refusal(400, "InvalidParameterCombination", why))?;
        let bad = |field| self.refusal(400, "InvalidParameterValue", format!("{field} is not valid"));
        let frozen = shapes::run(ask).map_err(bad)?;
        let user_data = ask.user_data.as_ref().map(|data| data.expose().to_owned());
        let made = self.create("RunInstances", frozen, user_data, within).await?;
        Ok(self.instances(made))
    }

    async fn describe_instances(&self, which: &Which, page: Option<String>) -> Answer<Page<Instance>> {
        let (found, next) = self.look("DescribeInstances", MACHINE, which, page).await?;
        Ok(self.page(self.instances(found), next))
    }

    async fn start_instance(&self, id: &str) -> Answer<()> {
        self.order("StartInstances", MACHINE, id, Act::Power(PowerMode::On)).await?;
        let (id, now) = (ResourceId::new(id).ok(), self.ec2.now());
        self.ec2.kept(|kept| kept.starts.extend(id.map(|id| (id, now))));
        Ok(())
    }

    async fn stop_instance(&self, id: &str, hibernate: bool) -> Answer<()> {
        let able = |body: &LaunchBody| matches!(body, LaunchBody::Machine(machine) if machine.options.off == Some(PowerMode::Hibernate));
        let known = ResourceId::new(id).ok().and_then(|id| skin::body(&self.ec2.world, &id, able));
        if hibernate && known == Some(false) {
            let message = format!("The instance '{id}' is not configured for hibernation");
            return Err(self.refusal(400, "UnsupportedHibernationConfiguration", message));
        }
        let mode = if hibernate { PowerMode::Hibernate } else { PowerMode::Stop };
        let name = if hibernate { "StopInstances hibernate" } else { "StopInstances" };
        self.order(name, MACHINE, id, Act::Power(mode)).await
    }

    async fn terminate_instance(&self, id: &str) -> Answer<()> {
        self.order("TerminateInstances", MACHINE, id, Act::Terminate).await
    }

    async fn subnet_vpc(&self, subnet: &str) -> Answer<String> {
        self.ask("DescribeSubnets", MACHINE, Call::Identify).await?;
        self.subnet(subnet).map(|(_, vpc)| vpc.to_owned())
    }

    async fn create_group(&self, ask: &NewGroup, within: Duration) -> Answer<String> {
        let body = LaunchBody::Firewall(FirewallBody::open_to(Vec::new()));
        let frozen = shapes::frozen(attempt(&ask.tags), ask.name.clone(), &ask.tags, body);
        let made = self.create("CreateSecurityGroup", frozen, None, within).await?;
        let made = made.first().map(|one| one.id.clone()).ok_or_else(|| self.astray())?;
        self.ec2.kept(|kept| kept.vpcs.extend(ask.vpc.clone().map(|vpc| (made.clone(), vpc))));
        Ok(made.to_string())
    }

    async fn authorize_ingress(&self, group: &str, cidrs: &[String], _: Duration) -> Answer<()> {
        let ids = [group.to_owned()];
        let found = self.by_ids("AuthorizeSecurityGroupIngress", GROUP, &ids).await?;
        let id = found.first().map(|one| one.id.clone()).ok_or_else(|| self.astray())?;
        let written = skin::blocks(&self.ec2.world, &id, |blocks| {
            let new = !cidrs.iter().any(|block| blocks.contains(block));
            blocks.extend(cidrs.iter().filter(|_| new).cloned());
            new
        });
        match written {
            Some(true) => Ok(()),
            Some(false) => {
                Err(self.refusal(400, "InvalidPermission.Duplicate", "the specified rule already exists"))
            }
            None => Err(self.refusal(400, missing(GROUP), "the group does not exist")),
        }
    }

    async fn describe_groups(&self, which: &Which, page: Option<String>) -> Answer<Page<Group>> {
        let (found, next) = self.look("DescribeSecurityGroups", GROUP, which, page).await?;
        let shown = found.into_iter().filter(|one| one.state != ThingState::Ended);
        Ok(self.page(shown.map(|one| self.group(one)).collect(), next))
    }

    async fn delete_group(&self, id: &str) -> Answer<()> {
        self.order("DeleteSecurityGroup", GROUP, id, Act::Terminate).await
    }

    async fn import_key_pair(&self, ask: &NewKeyPair, within: Duration) -> Answer<String> {
        let body = LaunchBody::KeyPair { public_key: ask.public_key.clone() };
        let frozen = shapes::frozen(attempt(&ask.tags), ask.name.clone(), &ask.tags, body);
        let made = self.create("ImportKeyPair", frozen, None, within).await?;
        made.first().map(|one| one.id.to_string()).ok_or_else(|| self.astray())
    }

    /// All on one page.
    async fn describe_key_pairs(&self, which: &Which) -> Answer<Page<KeyPair>> {
        let (mut all, mut page) = (Vec::new(), None);
        loop {
            let (found, next) = self.look("DescribeKeyPairs", PAIR, which, page).await?;
            all.extend(found.into_iter().filter(|one| one.state != ThingState::Ended));
            page = next;
            if page.is_none() {
                break;
            }
        }
        if let (Which::Name(name), true) = (which, all.is_empty()) {
            let message = format!("The key pair '{name}' does not exist");
            return Err(self.refusal(400, missing(PAIR), message));
        }
        Ok(self.page(all.into_iter().map(|one| self.pair(one)).collect(), None))
    }

    /// Deleting what is not there is a success.
    async fn delete_key_pair(&self, id: &str) -> Answer<()> {
        match self.order("DeleteKeyPair", PAIR, id, Act::Terminate).await {
            Err(failure) if failure.said.code == missing(PAIR) => Ok(()),
            answer => answer,
        }
    }

    async fn create_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        self.tag("CreateTags", id, tags, Act::Mark).await
    }

    async fn delete_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        self.tag("DeleteTags", id, tags, Act::Unmark).await
    }

    async fn describe_types(&self, page: Option<String>) -> Answer<Page<MachineType>> {
        let catalogue = self.catalogue("DescribeInstanceTypes").await?;
        let types = catalogue.offerings.iter().filter(|one| one.system.is_linux());
        self.sliced(types.map(shapes::machine_type), page.as_deref())
    }

    async fn describe_type_zones(&self, page: Option<String>) -> Answer<Page<(String, String)>> {
        let catalogue = self.catalogue("DescribeInstanceTypeOfferings").await?;
        let pairs = catalogue
            .offerings
            .iter()
            .filter(|one| one.system.is_linux())
            .flat_map(|one| one.zones.iter().map(|zone| (one.type_name.to_string(), zone.to_string())));
        self.sliced(pairs, page.as_deref())
    }

    async fn describe_images(&self, query: &ImageQuery, page: Option<String>) -> Answer<Page<MachineImage>> {
        let all = self.catalogue("DescribeImages").await?.images;
        let wanted = |image: &MachineImage| match query {
            ImageQuery::Id(id) => image.id == *id,
            ImageQuery::Named { owner, pattern } => owner == OWNER && shapes::fits(pattern, &image.name),
        };
        let found: Vec<_> = all.iter().map(shapes::image).filter(wanted).collect();
        if let (ImageQuery::Id(id), true) = (query, found.is_empty()) {
            let message = format!("The image id '[{id}]' does not exist");
            return Err(self.refusal(400, "InvalidAMIID.NotFound", message));
        }
        self.sliced(found.into_iter(), page.as_deref())
    }

    /// What the sim asks on demand, in the Price List's shape.
    async fn price_list(&self, ask: &PriceListAsk, page: Option<String>) -> Answer<Page<String>> {
        let catalogue = self.catalogue("GetProducts").await?;
        let os = ask.attributes.iter().find(|(name, _)| *name == "operatingSystem");
        let listed = catalogue.offerings.iter().filter(|one| {
            one.market == Market::OnDemand && os.is_some_and(|(_, os)| os.to_lowercase() == one.system.word())
        });
        self.sliced(listed.map(|one| shapes::product(one, ask)), page.as_deref())
    }

    /// The sim's spot market, where it has one.
    async fn spot_prices(
        &self,
        product: &str,
        since: Timestamp,
        page: Option<String>,
    ) -> Answer<Page<SpotPrice>> {
        let catalogue = self.catalogue("DescribeSpotPriceHistory").await?;
        // `Linux/UNIX`, `Windows`: the sim has no others.
        let word = product.split('/').next().unwrap_or_default().to_lowercase();
        let of = |one: &&Offering| one.market == Market::Spot && one.system.word() == word;
        let sold = catalogue.offerings.iter().filter(of);
        let rows = sold.flat_map(|one| one.zones.iter().map(move |zone| (one, zone)));
        let row = |(one, zone): (&Offering, &Zone)| SpotPrice {
            type_name: one.type_name.to_string(),
            zone: zone.to_string(),
            product: product.to_owned(),
            price: one.price.per_hour().map(|price| price.to_string()).unwrap_or_default(),
            since: Some(since),
        };
        self.sliced(rows.map(row), page.as_deref())
    }
}
