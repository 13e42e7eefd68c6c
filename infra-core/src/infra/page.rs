//! How much stands on a page of any list.

use super::error::InfraError;

/// Items unless asked otherwise, and at most.
pub(super) const PAGE: usize = 50;
const PAGE_MAX: usize = 200;

/// How many items a page may have.
///
/// # Errors
/// [`InfraError::OutOfRange`] (`limit`) outside 1..=200.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, InfraError> {
    let limit = asked.unwrap_or(PAGE);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(InfraError::field("limit", format!("must be 1..={PAGE_MAX}")))
}
