//! Changing one proven thing.

use infra_core::contracts::provider::{OwnedHandle, ProviderError, allowed};
use infra_core::nouns::cloud::{Accepted, Act, PowerMode};
use infra_core::words::lane::ResourceKind;
use serde_json::{Map, Value, json};

use super::api::{Ask, Service};
use super::provider::{OpenStackProvider, changed, looked};
use super::shapes::{Server, ServerAnswer};
use crate::failure::{invalid, own};
use crate::http::{Method, encoded};

pub(super) async fn act(
    provider: &OpenStackProvider,
    on: &OwnedHandle,
    act: Act,
) -> Result<Accepted, ProviderError> {
    allowed(on, &provider.lane, act)?;
    match act {
        Act::Terminate => terminate(provider, on).await,
        Act::Power(mode) => power(provider, on, mode).await,
        Act::Mark => mark(provider, on).await,
        Act::Unmark => unmark(provider, on).await,
    }?;
    Ok(Accepted)
}

fn path(on: &OwnedHandle) -> Result<(Service, String), ProviderError> {
    let id = encoded(on.id().as_str());
    match on.kind() {
        ResourceKind::Machine => Ok((Service::Compute, format!("/servers/{id}"))),
        ResourceKind::KeyPair => Ok((Service::Compute, format!("/os-keypairs/{id}"))),
        ResourceKind::Firewall => Ok((Service::Network, format!("/security-groups/{id}"))),
        ResourceKind::Snapshot => Ok((Service::Image, format!("/images/{id}"))),
        other => Err(invalid(format!("OpenStack is not used for a {other} here"))),
    }
}

async fn terminate(provider: &OpenStackProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    let (service, path) = path(on)?;
    let ended = provider.api.done(&Ask::new(service, Method::Delete, path)).await.map_err(changed);
    match ended {
        // What is not there needs no ending. That it is gone for good is proven by looking, not by this.
        Err(ProviderError::NotFound { .. }) => Ok(()),
        // A cloud that keeps deleted servers for a while wants another word to end them now.
        Err(ProviderError::Busy { said })
            if on.kind() == ResourceKind::Machine && said.message.contains("soft-delete") =>
        {
            order(provider, on, "forceDelete").await
        }
        other => other,
    }
}

/// One of Nova's actions.
async fn order(provider: &OpenStackProvider, on: &OwnedHandle, action: &str) -> Result<(), ProviderError> {
    let path = format!("/servers/{}/action", encoded(on.id().as_str()));
    let body = Value::Object(Map::from_iter([(action.to_owned(), Value::Null)]));
    provider.api.done(&Ask::new(Service::Compute, Method::Post, path).with(body)).await.map_err(changed)
}

async fn power(provider: &OpenStackProvider, on: &OwnedHandle, mode: PowerMode) -> Result<(), ProviderError> {
    if on.kind() != ResourceKind::Machine {
        return Err(invalid(format!("a {} has no power", on.kind())));
    }
    let (service, path) = path(on)?;
    let server = provider.api.json::<ServerAnswer>(&Ask::get(service, path)).await.map_err(looked)?;
    match action(&server.value.server, mode)? {
        // Until a new server has a host, Nova shows it and knows no actions of it.
        Some(action) => order(provider, on, action).await.map_err(|error| match error {
            ProviderError::NotFound { said } => ProviderError::Busy { said },
            other => other,
        }),
        None => Ok(()),
    }
}

/// Which of Nova's actions brings a server to where it is wanted; `None` when it is there already.
///
/// Nova itself refuses an action in the wrong state, but its words do not tell "already so" from "not now".
fn action(server: &Server, mode: PowerMode) -> Result<Option<&'static str>, ProviderError> {
    let status = server.status.as_str();
    let busy = || {
        let task = server.task_state.as_deref().unwrap_or("no task");
        Err(ProviderError::Busy { said: own("conflict", format!("the server is {status} with {task}")) })
    };
    if server.task_state.is_some() {
        return busy();
    }
    match (mode, status) {
        (PowerMode::On, "ACTIVE")
        | (PowerMode::Stop, "SHUTOFF")
        | (PowerMode::Suspend, "SUSPENDED")
        | (PowerMode::Shelve, "SHELVED" | "SHELVED_OFFLOADED") => Ok(None),
        (PowerMode::On, "SHUTOFF") => Ok(Some("os-start")),
        (PowerMode::On, "SUSPENDED") => Ok(Some("resume")),
        (PowerMode::On, "PAUSED") => Ok(Some("unpause")),
        (PowerMode::On, "SHELVED" | "SHELVED_OFFLOADED") => Ok(Some("unshelve")),
        (PowerMode::Stop, "ACTIVE") => Ok(Some("os-stop")),
        (PowerMode::Suspend, "ACTIVE") => Ok(Some("suspend")),
        (PowerMode::Shelve, "ACTIVE" | "SHUTOFF" | "SUSPENDED" | "PAUSED") => Ok(Some("shelve")),
        (PowerMode::On | PowerMode::Stop | PowerMode::Suspend | PowerMode::Shelve, _) => busy(),
        (other, _) => Err(invalid(format!("OpenStack is not turned off by {other:?}"))),
    }
}

fn marked_by_name(on: &OwnedHandle) -> Result<(), ProviderError> {
    if on.kind() == ResourceKind::Machine {
        return Ok(());
    }
    // Images could be marked again, but what ends with them is decided by their name as well.
    Err(invalid(format!("a {} is marked by its name", on.kind())))
}

async fn mark(provider: &OpenStackProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    marked_by_name(on)?;
    let tags: Map<String, Value> =
        on.mark().to_tags().into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let (service, path) = path(on)?;
    let ask = Ask::new(service, Method::Post, format!("{path}/metadata")).with(json!({ "metadata": tags }));
    provider.api.done(&ask).await.map_err(changed)
}

/// One key per call; what is gone already is fine.
async fn unmark(provider: &OpenStackProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    marked_by_name(on)?;
    let (service, path) = path(on)?;
    for (key, _) in on.mark().to_tags() {
        let ask = Ask::new(service, Method::Delete, format!("{path}/metadata/{}", encoded(key)));
        match provider.api.done(&ask).await.map_err(changed) {
            Err(ProviderError::NotFound { .. }) => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(status: &str, task: Option<&str>) -> Server {
        let json = json!({"id": "1", "name": "x", "status": status, "OS-EXT-STS:task_state": task});
        serde_json::from_value(json).expect("a server")
    }

    #[test]
    fn a_server_is_never_started_while_it_stops() {
        use PowerMode::{On, Shelve, Stop, Suspend};
        for (status, task, mode, wanted) in [
            ("ACTIVE", Some("powering-off"), On, None),
            ("ACTIVE", Some("shelving"), On, None),
            ("ACTIVE", Some("powering-off"), Stop, None),
            ("BUILD", Some("spawning"), Stop, None),
            ("BUILD", None, Stop, None),
            ("ERROR", None, On, None),
            ("SHUTOFF", None, Suspend, None),
            ("SHUTOFF", None, On, Some("os-start")),
            ("SUSPENDED", None, On, Some("resume")),
            ("SHELVED_OFFLOADED", None, On, Some("unshelve")),
            ("ACTIVE", None, Stop, Some("os-stop")),
            ("ACTIVE", None, Suspend, Some("suspend")),
            ("SHUTOFF", None, Shelve, Some("shelve")),
        ] {
            let said = action(&server(status, task), mode);
            assert_eq!(said.ok().flatten(), wanted, "{status} {task:?} {mode:?}");
        }
        for (status, mode) in [("ACTIVE", On), ("SHUTOFF", Stop), ("SHELVED_OFFLOADED", Shelve)] {
            assert_eq!(action(&server(status, None), mode), Ok(None), "{status} is {mode:?} already");
        }
        let busy = action(&server("ACTIVE", Some("powering-off")), On);
        assert!(matches!(busy, Err(ProviderError::Busy { .. })), "{busy:?}");
    }
}
