//! Following a reservation: by its events where the server tells them, by looking again and again where it does not.
//!
//! # Flow
//! Look; open the stream of events; look again, because something may have happened in between. An event `state`
//! carries the reservation; any other is a reason to look. Either way only what is newer counts, so an event that is
//! lost, doubled or late changes nothing.
//!
//! # Guarantees
//! * What is told are states in their order, each one different from the one before. One that is passed at once may
//!   be left out; the last one never is.
//! * A server that goes away is waited for, with [`FeedEvent::Away`] said each time; after some minutes it is an error.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header;
use serde_json::Value;

use super::answer::Answer;
use super::call::{Call, Client};
use super::error::ClientError;
use super::sse::{SseEvent, SseReader};
use super::types::{Reservation, settled};

/// A stream begins at once; where it does not within this, it is asked instead.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// A stream that is silent for longer is dead: servers send comments to keep it alive.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How often a server without events is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server may be away for so long.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// Longest pause before connecting again.
const PAUSE_MAX: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(500);
/// The event whose data is the reservation itself.
const STATE: &str = "state";

/// What a feed tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FeedEvent {
    /// It is like this now.
    Now(Box<Answer<Reservation>>),
    /// The server does not answer, and is asked again.
    Away(String),
}

/// Follows one reservation.
#[derive(Debug)]
pub struct Feed {
    client: Client,
    id: String,
    last: Option<Value>,
    version: u64,
    state: String,
    told: VecDeque<Answer<Reservation>>,
    stream: Option<reqwest::Response>,
    reader: SseReader,
    has_events: bool,
    look: bool,
    away: Option<(Duration, Duration)>,
}

impl Client {
    /// Follows a reservation from now on; its present state is told first.
    #[must_use]
    pub fn follow(&self, id: &str) -> Feed {
        Feed {
            client: self.clone(),
            id: id.to_owned(),
            last: None,
            version: 0,
            state: String::new(),
            told: VecDeque::new(),
            stream: None,
            reader: SseReader::default(),
            has_events: true,
            look: true,
            away: None,
        }
    }
}

impl Feed {
    /// Waits for the next change. Safe to drop in the middle: nothing is lost by that.
    ///
    /// # Errors
    /// [`ClientError`] when there is no such reservation, or the server was away for too long.
    pub async fn next(&mut self) -> Result<FeedEvent, ClientError> {
        loop {
            match self.step().await {
                Ok(Some(answer)) => return Ok(FeedEvent::Now(Box::new(answer))),
                Ok(None) => {}
                Err(error) => return self.away(error).await.map(FeedEvent::Away),
            }
        }
    }

    /// Does the server tell events? Known once the first change was waited for.
    #[must_use]
    pub const fn has_events(&self) -> bool {
        self.has_events
    }

    /// One step on; a reservation when it is another than before.
    async fn step(&mut self) -> Result<Option<Answer<Reservation>>, ClientError> {
        if let Some(answer) = self.told.pop_front() {
            return Ok(self.differs(answer));
        }
        if self.look {
            let answer = self.client.reservation(&self.id).await?;
            self.look = false;
            self.away = None;
            return Ok(self.differs(answer));
        }
        if !self.has_events {
            let answer = self.ask_again().await?;
            self.away = None;
            return Ok(self.differs(answer));
        }
        match self.stream.take() {
            None => self.open().await?,
            Some(stream) => self.listen(stream).await,
        }
        Ok(None)
    }

    async fn ask_again(&self) -> Result<Answer<Reservation>, ClientError> {
        if settled(&self.state) {
            self.client.clock.sleep(LOOK_EVERY).await;
            return self.client.reservation(&self.id).await;
        }
        // Answered as soon as it is settled.
        self.client.reservation_within(&self.id, LOOK_EVERY).await
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        let path = self.client.of_user(&["reservations", &self.id, "events"])?;
        let mut call = Call::get(path).header("accept", "text/event-stream");
        if !self.reader.last_id().is_empty() {
            call = call.header("last-event-id", self.reader.last_id());
        }
        let opened = tokio::select! {
            opened = self.client.open(&call) => opened,
            () = self.client.clock.sleep(OPEN_WITHIN) => {
                // Something in between keeps answers until they are whole, and this one never is.
                self.has_events = false;
                return Ok(());
            }
        };
        match opened {
            Ok(stream) if is_stream(&stream) => {
                self.reader = SseReader::after(self.reader.last_id());
                self.stream = Some(stream);
                self.look = true;
            }
            Ok(_) => self.has_events = false,
            // No such path; or nothing comes any more, or too many listen: asking works all the same.
            Err(error) if error.is_no_such_path() || error.code() == "rate-limited" => {
                self.has_events = false;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads until something is told, or the stream is at its end.
    async fn listen(&mut self, mut stream: reqwest::Response) {
        let part = tokio::select! {
            part = stream.chunk() => part.ok().flatten(),
            () = self.client.clock.sleep(SILENCE_MAX) => None,
        };
        if let Some(part) = part {
            for event in self.reader.push(&part) {
                match told(&event) {
                    Some(answer) => self.told.push_back(answer),
                    None => self.look |= self.told.is_empty(),
                }
            }
            self.away = None;
            self.stream = Some(stream);
        } else {
            let pause = self.reader.retry_ms().map_or(PAUSE, Duration::from_millis);
            self.client.clock.sleep(pause.min(PAUSE_MAX)).await;
        }
    }

    fn differs(&mut self, answer: Answer<Reservation>) -> Option<Answer<Reservation>> {
        // Told before the last look, and heard after it.
        if answer.value.version < self.version {
            return None;
        }
        self.version = answer.value.version;
        let mut shown: Value = serde_json::from_str(&answer.raw).unwrap_or_default();
        if let Some(fields) = shown.as_object_mut() {
            // These move by themselves.
            fields.retain(|name, _| name != "version" && name != "cost_so_far");
        }
        answer.value.state.clone_into(&mut self.state);
        let same = self.last.as_ref() == Some(&shown);
        self.last = Some(shown);
        (!same).then_some(answer)
    }

    /// Bears with a server that is away; anything else is an error.
    async fn away(&mut self, error: ClientError) -> Result<String, ClientError> {
        let passing = match &error {
            // A server that was never there is not away.
            ClientError::Unreachable { .. } => self.last.is_some(),
            ClientError::Refused(problem) => matches!(problem.status, 408 | 429 | 502 | 503 | 504),
            ClientError::Unexpected { status, .. } => matches!(status, 502..=504),
            _ => false,
        };
        let now = self.client.clock.mono();
        let (since, pause) = self.away.unwrap_or((now, PAUSE));
        if !passing || now.saturating_sub(since) > AWAY_MAX {
            return Err(error);
        }
        self.away = Some((since, (pause * 2).min(PAUSE_MAX)));
        self.stream = None;
        self.look = true;
        self.client.clock.sleep(pause).await;
        Ok(error.to_string())
    }
}

/// The reservation that an event carries.
fn told(event: &SseEvent) -> Option<Answer<Reservation>> {
    let value: Reservation =
        (event.event == STATE).then(|| serde_json::from_str(&event.data).ok()).flatten()?;
    let etag = Some(format!("\"{}\"", value.version));
    Some(Answer { value, raw: event.data.clone(), etag, status: 200, sends: 1 })
}

fn is_stream(answer: &reqwest::Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}
