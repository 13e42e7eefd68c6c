//! From the handle's errors to problems: one match.

use std::time::Duration;

use infra_core::contracts::pricing::{FailedLimit, Quote};
use infra_core::infra::InfraError;
use infra_core::words::fault::{Fault, FaultKind};

use super::problem::{Code, FieldProblem, Problem};
use super::wire;

impl From<InfraError> for Problem {
    fn from(error: InfraError) -> Self {
        let retry_after_s = error.retry_after().map(seconds_up);
        let mut problem = translate(error);
        problem.retry_after_s = retry_after_s;
        problem
    }
}

fn translate(error: InfraError) -> Problem {
    let detail = error.to_string();
    match error {
        InfraError::OutOfRange { fields } => {
            let mut problem = Problem::new(Code::OutOfRange, detail);
            problem.errors = (fields.into_iter())
                .map(|wrong| FieldProblem { field: wrong.field, message: wrong.message, limit: wrong.limit })
                .collect();
            problem
        }
        InfraError::UnknownField { field, message } => {
            Problem::field(Code::UnknownField, &field, message, None)
        }
        InfraError::Unfulfillable { field, why } => Problem::field(Code::Unfulfillable, field, why, None),
        InfraError::NoFit { failed, nearest } => nothing(Code::NoFit, detail, *failed, &nearest),
        InfraError::UnknownRegion { failed, nearest } => {
            nothing(Code::UnknownRegion, detail, *failed, &nearest)
        }
        InfraError::UnknownImage { failed, nearest } => {
            nothing(Code::UnknownImage, detail, *failed, &nearest)
        }
        InfraError::OverLimit { max, .. } => {
            Problem::field(Code::OverBudget, "machines_max", detail, Some(max.to_string()))
        }
        InfraError::OverBudget { shortage } => {
            let field = format!("budget.{}", shortage.kind);
            Problem::field(Code::OverBudget, &field, detail, Some(shortage.left.to_string()))
        }
        InfraError::InUse { by, .. } => {
            let mut problem = Problem::new(Code::InUse, detail);
            let used_by = |id| FieldProblem { field: "used_by".to_owned(), message: id, limit: None };
            problem.errors = by.into_iter().map(used_by).collect();
            problem
        }
        InfraError::Store(error) if error.kind() == FaultKind::Unavailable => {
            tracing::error!(%error, "the store does not answer");
            Problem::new(Code::Unavailable, "the store does not answer")
        }
        InfraError::Store(_) | InfraError::Internal { .. } | InfraError::Misconfigured { .. } => {
            // Its words are for whoever runs the server, not for whoever calls it.
            tracing::error!(error = detail, "internal");
            Problem::new(Code::Internal, "a defect of this server; it is in its log")
        }
        other => Problem::new(plain(&other), detail),
    }
}

/// The code of errors that have nothing to say beyond their sentence.
const fn plain(error: &InfraError) -> Code {
    match error {
        InfraError::NoCredentials => Code::NoCredentials,
        InfraError::InvalidCredentials { .. } => Code::InvalidCredentials,
        InfraError::Unverified { .. } => Code::Unverified,
        InfraError::NotFound { .. } => Code::NotFound,
        InfraError::NotAllowed { .. } => Code::Forbidden,
        InfraError::Conflict { .. } => Code::Conflict,
        InfraError::Gone { .. } => Code::Gone,
        InfraError::Released { .. } => Code::Released,
        InfraError::IdempotencyMismatch => Code::IdempotencyMismatch,
        InfraError::Busy { .. } => Code::Busy,
        InfraError::Paused { .. } | InfraError::Frozen { .. } => Code::Paused,
        InfraError::Suspended { .. } => Code::Suspended,
        InfraError::ProviderUnavailable { .. } => Code::ProviderUnavailable,
        _ => Code::Internal,
    }
}

fn nothing(code: Code, detail: String, failed: FailedLimit, nearest: &[Quote]) -> Problem {
    let mut problem = Problem::new(code, detail);
    problem.errors.push(FieldProblem { field: failed.field, message: failed.detail, limit: failed.limit });
    let also = failed.also.into_iter();
    let also = also.map(|field| (field, "is missed by what comes nearest as well".to_owned()));
    problem.errors.extend(also.map(|(field, message)| FieldProblem { field, message, limit: None }));
    problem.nearest = nearest.iter().map(wire::Quote::from).collect();
    problem
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use infra_core::contracts::store::StoreError;
    use infra_core::words::fault::Effect;

    use super::*;

    #[test]
    fn what_only_the_operator_should_know_is_not_told() {
        let unavailable = StoreError::Unavailable { why: "disk /planted".into(), effect: Effect::Unknown };
        let corrupt = StoreError::Corrupt { why: "row /planted".into() };
        for (error, code) in [
            (InfraError::from(unavailable), Code::Unavailable),
            (InfraError::from(corrupt), Code::Internal),
            (InfraError::Internal { why: "/planted".into() }, Code::Internal),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.code, code);
            assert!(!problem.detail.contains("planted"), "{problem:?}");
        }
        let busy = Problem::from(InfraError::Busy { what: "reservation".into() });
        assert_eq!((busy.code, busy.retry_after_s), (Code::Busy, Some(1)));
    }

    #[test]
    fn of_two_limits_in_the_way_only_one_is_told() {
        let failed = FailedLimit {
            field: "max_price_per_hour".into(),
            detail: "is 0.001".into(),
            limit: None,
            also: vec!["vcpus".into()],
        };
        let problem = Problem::from(InfraError::NoFit { failed: Box::new(failed), nearest: Vec::new() });
        let told: Vec<_> = problem.errors.iter().map(|it| (it.field.as_str(), &it.limit)).collect();
        assert_eq!(told, [("max_price_per_hour", &None), ("vcpus", &None)]);
    }

    #[test]
    fn a_cloud_that_asks_for_time_gets_whole_seconds() {
        let said = "slow down".to_owned();
        let retry_after = Some(Duration::from_millis(1500));
        let asked = InfraError::ProviderUnavailable { what: "sim".into(), said, retry_after };
        let problem = Problem::from(asked);
        assert_eq!((problem.code, problem.retry_after_s), (Code::ProviderUnavailable, Some(2)));
    }
}
