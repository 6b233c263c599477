//! Lists that come in pages, and what is said of something that was asked for by its id.
//!
//! Every list is read to its end or not at all: half a list would look like resources that are gone. Nothing here
//! knows what is listed.

use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::clients::Clients;
use super::identity::incomplete;
use crate::observed::Found;
use crate::provider::{Class, Failure};

/// Most pages of one list. The cloud cuts at 5 to 1000 items and now and then gives an empty page; a cluster has some
/// thousand items at most, so that more pages than this are an answer that goes round in circles.
const MAX_PAGES: usize = 1_000;

impl Clients {
    /// Reads all pages. `call` asks for the page behind a token, `split` takes an answer apart into items and the
    /// next token.
    ///
    /// # Errors
    /// What went wrong with any page; or the list does not end.
    pub(super) async fn pages<T, O, E, F>(
        &self,
        action: &str,
        call: impl Fn(Option<String>) -> F,
        split: impl Fn(O) -> (Option<Vec<T>>, Option<String>),
    ) -> Result<Vec<T>, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        let (call, split) = (&call, &split);
        follow(action, |token| async move {
            let answer = self.read(action, || call(token.clone())).await?;
            let (items, next) = split(answer);
            Ok((items.unwrap_or_default(), next))
        })
        .await
    }
}

/// Asks for page after page until one has no token; an empty page with a token is not the end.
async fn follow<T, F>(action: &str, mut page: impl FnMut(Option<String>) -> F) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<(Vec<T>, Option<String>), Failure>>,
{
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let (items, next) = page(token.take()).await?;
        all.extend(items);
        match next.filter(|next| !next.is_empty()) {
            None => return Ok(all),
            next => token = next,
        }
    }
    Err(Failure {
        action: action.to_owned(),
        code: "endless answer".to_owned(),
        message: format!("the list does not end after {MAX_PAGES} pages"),
        class: Class::Invalid,
    })
}

/// An empty list where the cloud says that what was asked for by id is not there.
pub(super) fn none_if_gone<T>(answer: Result<Vec<T>, Failure>) -> Result<Vec<T>, Failure> {
    match answer {
        Err(failure) if failure.class == Class::Gone => Ok(Vec::new()),
        other => other,
    }
}

/// Translates every item. One that lacks what every one has ends it: leaving it out would make it look absent.
pub(super) fn translate<T>(
    action: &str,
    items: &[T],
    one: impl Fn(&T) -> Option<Found>,
) -> Result<Vec<Found>, Failure> {
    items.iter().map(|item| one(item).ok_or_else(|| incomplete(action, "readable item", Class::Transient))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: Class) -> Failure {
        Failure { action: "a".to_owned(), code: "c".to_owned(), message: "m".to_owned(), class }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn an_empty_page_with_a_token_is_not_the_end() {
        let answers = [(vec![1, 2], "a"), (vec![], "b"), (vec![3], "")];
        let mut asked = Vec::new();
        let all = run(follow("x:List", |token| {
            asked.push(token);
            let (items, next) = answers[asked.len() - 1].clone();
            async move { Ok((items, Some(next.to_owned()))) }
        }));
        assert_eq!(all, Ok(vec![1, 2, 3]));
        assert_eq!(asked, [None, Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn pages_that_never_end_end_and_a_failure_ends_them() {
        let endless = run(follow("x:List", |_| async { Ok((vec![0_u8], Some("again".to_owned()))) }));
        assert_eq!(endless.unwrap_err().to_string(), "x:List: endless answer: the list does not end after 1000 pages");
        let half = run(follow("x:List", |token| async move {
            if token.is_some() { Err(failed(Class::Denied)) } else { Ok((vec![0_u8], Some("a".to_owned()))) }
        }));
        assert_eq!(half, Err(failed(Class::Denied)));
    }

    #[test]
    fn only_gone_is_nothing() {
        assert_eq!(none_if_gone(Ok(vec![1])), Ok(vec![1]));
        assert_eq!(none_if_gone::<i32>(Err(failed(Class::Gone))), Ok(vec![]));
        for class in [Class::Denied, Class::Transient, Class::Throttled, Class::Credentials] {
            assert_eq!(none_if_gone::<i32>(Err(failed(class))), Err(failed(class)));
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_ends_the_list() {
        let failure = translate("ec2:DescribeVpcs", &[()], |()| None).unwrap_err();
        assert_eq!(failure.to_string(), "ec2:DescribeVpcs: incomplete answer: the answer has no readable item");
        assert_eq!(translate::<()>("ec2:DescribeVpcs", &[], |()| None), Ok(vec![]));
    }
}
