//! `/users/{user}/usage`: what is spent, as JSON or as a table for a spreadsheet.

use axum::Json as Answer;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use infra_core::infra::{ReservationUsage, Usage};
use infra_core::words::clock::Timestamp;

use super::auth::Reader;
use super::extract::Params;
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire;

/// Show what is spent
///
/// So far, per hour now, and until the end and the month's end: each of the user's reservations, the user, and the team as
/// one sum. By list price less the team's discounts; it is no bill. As CSV with `format=csv`, or when `text/csv` is
/// asked for.
#[utoipa::path(
    get,
    path = "/users/{user}/usage",
    tag = tag::OFFERS,
    operation_id = "showUsage",
    params(wire::OfUser, wire::OfMonth, wire::Acting),
    responses((status = 200, description = "What is spent.", content((wire::Usage = "application/json"), (String = "text/csv"))))
)]
pub(super) async fn show(Reader(user): Reader, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["month", "format"])?;
    let wrong = |name: &str, message: &str| Problem::field(Code::WrongType, name, message, None);
    let month = params.get("month").map(str::parse).transpose();
    let month = month.map_err(|()| wrong("?month", "must be a month like 2026-11"))?;
    let csv = match params.get("format") {
        None => asks_for_csv(&headers),
        Some("csv") => true,
        Some("json") => false,
        Some(_) => return Err(wrong("?format", "must be json or csv")),
    };
    let usage = user.usage(month).await?;
    if !csv {
        return Ok(Answer(wire::Usage::from(&usage)).into_response());
    }
    let name = format!("attachment; filename=\"usage-{}.csv\"", usage.month);
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, table(&usage)?).into_response())
}

/// Is CSV named, and JSON not?
fn asks_for_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/csv") && !accept.contains("application/json")
}

/// A row for each reservation. No row of sums: whoever adds up a column must not add them twice.
fn table(usage: &Usage) -> Result<String, Problem> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let heading = [
        "month",
        "reservation",
        "name",
        "user",
        "state",
        "created_at",
        "ends_at",
        "so_far_usd",
        "in_month_usd",
        "per_hour_usd",
        "at_end_usd",
        "at_month_end_usd",
    ];
    let month = usage.month.to_string();
    let rows = usage.reservations.iter().map(|one| row(&month, one));
    let written =
        std::iter::once(heading.map(str::to_owned)).chain(rows).try_for_each(|row| csv.write_record(row));
    let bytes = written.ok().and_then(|()| csv.into_inner().ok());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Problem::new(Code::Internal, "a defect of this server; it is in its log"))
}

fn row(month: &str, one: &ReservationUsage) -> [String; 12] {
    let spending = &one.spending;
    let state = serde_json::to_value(one.state).ok().and_then(|word| word.as_str().map(str::to_owned));
    [
        month.to_owned(),
        harmless(one.id.as_str()),
        harmless(one.name.as_deref().unwrap_or_default()),
        harmless(one.owner.as_str()),
        state.unwrap_or_default(),
        one.created_at.to_string(),
        one.ends_at.as_ref().map(Timestamp::to_string).unwrap_or_default(),
        spending.so_far.to_string(),
        spending.in_month.to_string(),
        spending.per_hour.to_string(),
        spending.at_end.map(|end| end.to_string()).unwrap_or_default(),
        spending.at_month_end.to_string(),
    ]
}

/// Signs that begin a formula, also in their full-width form, which some spreadsheets read alike.
const RISKY: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// What a spreadsheet would take for a formula is told to be text: a name must not run when somebody opens the table.
/// Also where another sign than the comma parts cells, as it does in half of Europe, and such a sign stands in a name:
/// quotes would not help there, since a cell that begins in the middle of a field is not quoted.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 1);
    if text.starts_with(['\t', '\r', '\n']) {
        safe.push('\'');
    }
    for (at, cell) in text.split_inclusive([';', '\t']).enumerate() {
        if cell.trim_start().starts_with(RISKY) && (at > 0 || safe.is_empty()) {
            safe.push('\'');
        }
        safe.push_str(cell);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_runs_as_a_formula_or_breaks_its_row() {
        let wide = ["\u{ff1d}1+1", "\u{ff0b}1", "\u{ff0d}1", " \u{ff20}SUM(A1)"];
        for name in
            ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"].into_iter().chain(wide)
        {
            assert!(harmless(name).starts_with('\''), "{name}");
        }
        // Where a semicolon or a tab parts cells.
        for (name, told) in
            [("a;=1+1;b", "a;'=1+1;b"), ("a\t@x", "a\t'@x"), ("a; \u{ff1d}1;+2", "a;' \u{ff1d}1;'+2")]
        {
            assert_eq!(harmless(name), told);
        }
        assert_eq!(harmless("a;b\tc-d=e"), "a;b\tc-d=e");
        assert_eq!(harmless("web, \"two\""), "web, \"two\"");
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record([harmless("a,\"b\"\nc"), "x".to_owned()]).expect("writes");
        let text = String::from_utf8(csv.into_inner().expect("flushes")).expect("text");
        assert_eq!(text, "\"a,\"\"b\"\"\nc\",x\n");
    }
}
