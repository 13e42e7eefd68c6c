//! `infra overlays`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::money::{price, text, whose};
use crate::cli::error::CliError;
use crate::cli::request::json_object;
use crate::cli::session::Session;
use crate::cli::show::{Table, plain};
use crate::client::BudgetOf;

/// Whose discounts, and what they are to be.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Without --of it shows what your team pays less than the lists say. With it, and the admin's token, it shows a team's
(user:NAME is a user without one), or replaces all of them by those of a file:
  {\"overlays\": [{\"name\": \"savings plan\", \"provider\": \"aws\", \"family\": \"m5\", \"off\": {\"percent\": 28.5}}]}
off is {\"percent\": 28.5}, or {\"per_hour\": {\"amount\": \"0.01\", \"currency\": \"USD\"}}; provider, region, family and market
(on_demand, spot) say what it is for. What --json shows may be changed and given back: it is refused when somebody else
was faster.

Examples:
  infra overlays
  infra --profile admin overlays --of team:data --file plan.json
  infra --profile admin overlays --of user:ada --none")]
pub(in crate::cli) struct OverlaysArgs {
    /// Whose (admin): team:NAME or user:NAME
    #[arg(long, value_name = "WHOSE", value_parser = whose)]
    of: Option<BudgetOf>,
    /// All of them, as a JSON file; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "of")]
    file: Option<String>,
    /// None at all
    #[arg(long, requires = "of", conflicts_with = "file")]
    none: bool,
}

impl OverlaysArgs {
    /// What is to be sent, and the version that it was made of; `None` to look only.
    fn new_ones(&self) -> Result<Option<(Value, Option<u64>)>, CliError> {
        let Some(path) = &self.file else {
            return Ok(self.none.then(|| (json!({ "overlays": [] }), None)));
        };
        let mut said: Map<String, Value> = json_object(path)?;
        let version = said.remove("version").and_then(|version| version.as_u64());
        // What the answer says beside them is not set.
        for shown in ["effects", "changed_at"] {
            said.remove(shown);
        }
        Ok(Some((Value::Object(said), version)))
    }
}

pub(in crate::cli) async fn overlays(session: &Session<'_>, args: &OverlaysArgs) -> Result<(), CliError> {
    let Some(of) = &args.of else {
        let answer = session.own().await?.overlays().await?;
        return session.out.answer(&answer.raw, || discounts(&answer.value));
    };
    let new = args.new_ones()?;
    let client = session.client()?;
    let answer = match new {
        Some((new, version)) => client.set_team_overlays(of, &new, version).await?,
        None => client.team_overlays(of).await?,
    };
    session.out.answer(&answer.raw, || discounts(&answer.value))
}

/// A line for each, what it lowers now, and below them what is to be said of any.
fn discounts(answer: &Value) -> String {
    let mut table = Table::new(&["NAME", "OFF", "CLOUD", "REGION", "FAMILY", "MARKET", "LOWERS NOW"]);
    let mut warnings = String::new();
    let all = answer["overlays"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, overlay) in all.iter().enumerate() {
        let effect = &answer["effects"][at];
        let off = match overlay["off"]["percent"].as_f64() {
            None => format!("{} per hour", price(&overlay["off"]["per_hour"])),
            Some(percent) => format!("{percent} %"),
        };
        let lowers = match effect["matches"].as_u64() {
            Some(1) => "1 offer".to_owned(),
            Some(count) => format!("{count} offers"),
            None => "not known".to_owned(),
        };
        let name = text(&overlay["name"]);
        for warning in effect["warnings"].as_array().into_iter().flatten() {
            warnings.push_str(&format!("{}: {}\n", plain(&name), plain(&text(warning))));
        }
        let [provider, region, family, market] =
            ["provider", "region", "family", "market"].map(|field| text(&overlay[field]));
        table.row([name, off, provider, region, family, market, lowers]);
    }
    match (all.is_empty(), warnings.is_empty()) {
        (true, _) => "no discounts are set\n".to_owned(),
        (_, true) => table.render(0),
        (..) => format!("{}\n{warnings}", table.render(0)),
    }
}
