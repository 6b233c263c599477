//! A proxy between kvctl and the emulator that loses, delays, changes and refuses calls, and remembers them all.
//!
//! One thread for each connection, on loopback. `call` reads requests, `rule` decides, here it is carried out.

mod call;
mod message;
mod rule;

use std::collections::HashMap;
use std::io::BufReader;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kvnode::runtime::clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) use call::Call;
use message::{Request, Response};
use rule::Rules;
pub(crate) use rule::{Effect, Rule, When};

use crate::client::Client;

/// A running proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    ending: AtomicBool,
    state: Mutex<State>,
}

struct State {
    rules: Rules,
    calls: Vec<Call>,
    /// Which run the calls belong to: a connection of an earlier one may still be served.
    run: u64,
    began: Instant,
    /// Answers to reads, by service and body, and when they were fresh.
    answers: HashMap<Vec<u8>, (Instant, Response)>,
    victim: Option<Pid>,
}

impl State {
    fn new(rules: Rules, run: u64) -> Self {
        let began = clock::monotonic_now();
        Self { rules, calls: Vec::new(), run, began, answers: HashMap::new(), victim: None }
    }

    fn now(&self) -> u64 {
        u64::try_from(clock::monotonic_now().duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

/// Nothing is to be answered any more.
struct Lost;

impl Proxy {
    /// Starts one before an emulator, without faults.
    pub(crate) fn start(upstream: Client) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let state = Mutex::new(State::new(Rules::new(Vec::new(), 0), 0));
        let shared = Arc::new(Shared { address, upstream: upstream.address, ending: AtomicBool::new(false), state });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.ending.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A connection that breaks is the client's affair.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { shared }
    }

    /// Where it listens, as an endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Forgets all calls and begins anew with these faults.
    pub(crate) fn begin(&self, rules: Vec<Rule>, seed: u64) {
        let mut state = self.shared.state();
        *state = State::new(Rules::new(rules, seed), state.run + 1);
    }

    /// The process that `KillBefore` and `KillAfter` mean.
    pub(crate) fn set_victim(&self, process: u32) {
        self.shared.state().victim = i32::try_from(process).ok().map(Pid::from_raw);
    }

    /// The calls since it began.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// The calls that may have changed anything.
    pub(crate) fn changes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.mutating).collect()
    }

    /// How often each rule hit, in their order.
    pub(crate) fn hits(&self) -> Vec<usize> {
        self.shared.state().rules.hits()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        // Wakes the thread that accepts; it then sees that it is to end.
        drop(TcpStream::connect(self.shared.address));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            let (index, run, effect) = self.arrived(&request);
            let answer = self.answer(&request, effect);
            self.answered(index, run, answer.as_ref().ok());
            match answer {
                Ok(response) => response.write(&mut writer, request.method == "HEAD")?,
                Err(Lost) => break,
            }
        }
        Ok(())
    }

    fn arrived(&self, request: &Request) -> (usize, u64, Option<Effect>) {
        let action = call::action(request);
        let mut state = self.state();
        let index = state.calls.len();
        let call = Call {
            index,
            mutating: call::mutating(request, &action),
            action,
            began: state.now(),
            ended: None,
            status: None,
        };
        let effect = state.rules.decide(&call);
        state.calls.push(call);
        (index, state.run, effect)
    }

    fn answered(&self, index: usize, run: u64, response: Option<&Response>) {
        let mut state = self.state();
        let now = state.now();
        if state.run == run
            && let Some(call) = state.calls.get_mut(index)
        {
            call.ended = Some(now);
            call.status = response.map(|response| response.status);
        }
    }

    fn answer(&self, request: &Request, effect: Option<Effect>) -> Result<Response, Lost> {
        let forward = || request.forward(self.upstream).map_err(|_| Lost);
        match effect {
            None => forward(),
            Some(Effect::Refuse { status, code, message }) => Ok(call::refusal(request, status, code, message)),
            Some(Effect::RefuseAfter { status, code, message }) => {
                forward()?;
                Ok(call::refusal(request, status, code, message))
            }
            Some(Effect::DropBefore) => Err(Lost),
            Some(Effect::DropAfter) => forward().and(Err(Lost)),
            Some(Effect::AnswerLate(delay)) => {
                let response = forward()?;
                clock::pause_thread(delay);
                Ok(response)
            }
            Some(Effect::Html) => Ok(call::html()),
            Some(Effect::HtmlAfter) => forward().map(|_| call::html()),
            Some(Effect::Rewrite(rewrite)) => {
                let mut response = forward()?;
                response.body = rewrite(&String::from_utf8_lossy(&response.body)).into_bytes();
                Ok(response)
            }
            Some(Effect::Stale(time)) => self.stale(request, time),
            Some(Effect::Meanwhile(act)) => {
                act(Client { address: self.upstream });
                forward()
            }
            Some(Effect::KillBefore) => Err(self.kill()),
            Some(Effect::KillAfter) => forward().and_then(|_| Err(self.kill())),
        }
    }

    fn stale(&self, request: &Request, time: Duration) -> Result<Response, Lost> {
        let name = format!("{} {} {}\n", call::service(request), call::action(request), request.target);
        let key = [name.as_bytes(), &request.body].concat();
        let now = clock::monotonic_now();
        if let Some((fresh, response)) = self.state().answers.get(&key)
            && now.duration_since(*fresh) < time
        {
            return Ok(response.clone());
        }
        let response = request.forward(self.upstream).map_err(|_| Lost)?;
        self.state().answers.insert(key, (now, response.clone()));
        Ok(response)
    }

    fn kill(&self) -> Lost {
        if let Some(victim) = self.state().victim.take() {
            // It may have ended by itself, which is as good.
            let _ended_already = kill(victim, Signal::SIGKILL);
        }
        Lost
    }
}

#[cfg(test)]
mod tests;
