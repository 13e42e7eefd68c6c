//! Which permission each call needs: the smallest policy for a key, made from the calls themselves.
//!
//! `docs/permissions/aws.json` is [`policy`], word by word; a test holds them together, and another holds [`CALLS`] to
//! the seam's methods, so that a call without an entry cannot be added. Each permission is proven against an emulator
//! that checks policies: with all of them the life of a machine passes, without any one of them it fails and says which;
//! without one of those for prices it passes, and the prices say which (stage `aws`).

/// One call of the seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallPermission {
    /// The method of [`super::api::Ec2Api`].
    pub method: &'static str,
    /// The action of IAM that it needs.
    pub action: &'static str,
    /// When.
    pub needed: Needed,
}

/// When a permission is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// By every key.
    Always,
    /// By every key that shall see prices of today: without it machines are leased all the same, at the prices of a
    /// dated table or, where there is none, not at all, since what has no price is never chosen.
    ForPrices,
    /// AWS asks nobody for it.
    Never,
    /// By a key that assumes a role; the role itself needs the others.
    ByTheKeyOfARole,
}

const fn always(method: &'static str, action: &'static str) -> CallPermission {
    CallPermission { method, action, needed: Needed::Always }
}

const fn for_prices(method: &'static str, action: &'static str) -> CallPermission {
    CallPermission { method, action, needed: Needed::ForPrices }
}

/// One entry per method of the seam, in its order. A create call with tags also needs `ec2:CreateTags`, which stands
/// here for a call of its own; a launch with an instance profile also needs [`PASS_ROLE`].
pub const CALLS: &[CallPermission] = &[
    CallPermission { method: "caller_identity", action: "sts:GetCallerIdentity", needed: Needed::Never },
    CallPermission { method: "assume_role", action: "sts:AssumeRole", needed: Needed::ByTheKeyOfARole },
    always("run_instances", "ec2:RunInstances"),
    always("describe_instances", "ec2:DescribeInstances"),
    always("start_instance", "ec2:StartInstances"),
    always("stop_instance", "ec2:StopInstances"),
    always("terminate_instance", "ec2:TerminateInstances"),
    always("subnet_vpc", "ec2:DescribeSubnets"),
    always("create_group", "ec2:CreateSecurityGroup"),
    always("authorize_ingress", "ec2:AuthorizeSecurityGroupIngress"),
    always("describe_groups", "ec2:DescribeSecurityGroups"),
    always("delete_group", "ec2:DeleteSecurityGroup"),
    always("import_key_pair", "ec2:ImportKeyPair"),
    always("describe_key_pairs", "ec2:DescribeKeyPairs"),
    always("delete_key_pair", "ec2:DeleteKeyPair"),
    always("create_tags", "ec2:CreateTags"),
    always("delete_tags", "ec2:DeleteTags"),
    always("describe_types", "ec2:DescribeInstanceTypes"),
    always("describe_type_zones", "ec2:DescribeInstanceTypeOfferings"),
    always("describe_images", "ec2:DescribeImages"),
    for_prices("price_list", "pricing:GetProducts"),
    for_prices("spot_prices", "ec2:DescribeSpotPriceHistory"),
];

/// Only for `options.profile`, and only on the roles that machines may get: it is left out of the policy, because on
/// every role it would make the key as mighty as the mightiest of them.
pub const PASS_ROLE: &str = "iam:PassRole";

/// The actions that every key needs, in order.
#[must_use]
pub fn actions() -> Vec<&'static str> {
    needed(Needed::Always)
}

/// The actions that prices of today need, in order.
#[must_use]
pub fn price_actions() -> Vec<&'static str> {
    needed(Needed::ForPrices)
}

fn needed(when: Needed) -> Vec<&'static str> {
    let mut actions: Vec<_> =
        CALLS.iter().filter(|call| call.needed == when).map(|call| call.action).collect();
    actions.sort_unstable();
    actions
}

/// The smallest policy, as a JSON document: one statement to lease, one to see prices.
#[must_use]
pub fn policy() -> String {
    let statement = |id: &str, actions: Vec<&str>| {
        let actions: Vec<String> = actions.iter().map(|action| format!("        \"{action}\"")).collect();
        format!(
            "    {{\n      \"Sid\": \"{id}\",\n      \"Effect\": \"Allow\",\n      \"Action\": [\n{}\n      \
             ],\n      \"Resource\": \"*\"\n    }}",
            actions.join(",\n")
        )
    };
    let statements = [statement("LeaseMachines", actions()), statement("ReadPrices", price_actions())];
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n{}\n  ]\n}}\n", statements.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../../docs/permissions/aws.json");
    const PAGE: &str = include_str!("../../../docs/permissions/aws.md");
    const SEAM: &str = include_str!("api.rs");

    /// Names of the methods of the seam's trait.
    fn methods(source: &str) -> Vec<&str> {
        let (_, body) = source.split_once("pub trait Ec2Api").expect("the seam");
        body.lines().filter_map(|line| line.trim().strip_prefix("async fn ")?.split('(').next()).collect()
    }

    #[test]
    fn no_call_is_made_whose_permission_nobody_knows() {
        let known: Vec<_> = CALLS.iter().map(|call| call.method).collect();
        assert_eq!(methods(SEAM), known);
        let more =
            SEAM.replace("async fn create_tags", "async fn create_fleet(&self);\n    async fn create_tags");
        assert_ne!(methods(&more), known, "a new call must be seen");
    }

    #[test]
    fn the_policy_to_hand_out_is_the_one_that_the_calls_need() {
        assert_eq!(FILE, policy(), "docs/permissions/aws.json is this:\n{}", policy());
        let read: serde_json::Value = serde_json::from_str(FILE).expect("JSON");
        for (at, wanted) in [actions(), price_actions()].into_iter().enumerate() {
            let listed = read["Statement"][at]["Action"].as_array().expect("a list");
            assert_eq!(listed.iter().filter_map(|action| action.as_str()).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn the_page_explains_every_permission_and_no_other() {
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let mut explained: Vec<_> = rows.collect();
        explained.sort_unstable();
        let needed = CALLS.iter().filter(|call| call.needed != Needed::Never).map(|call| call.action);
        let mut needed: Vec<_> = needed.chain([PASS_ROLE]).collect();
        needed.sort_unstable();
        assert_eq!(explained, needed);
    }
}
