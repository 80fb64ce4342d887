//! Many small messages as one: what is told on one thread between two looks of its reader arrives together.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use actix::dev::ToEnvelope;
use actix::{Actor, Handler, Message};

use super::port::WayBack;

/// Something waits in the batch: take it all.
#[derive(Debug)]
pub struct Batched<M>(PhantomData<fn(M)>);

impl<M: 'static> Message for Batched<M> {
    type Result = ();
}

/// A way to an actor of the same thread for what is told very often: the first of a batch sends one message, the
/// rest only join it. In order, also among other messages: whatever is sent to the actor after a [`Batch::put`]
/// comes after what was put.
///
/// Like a [`WayBack`], for answers and news only.
#[derive(Debug)]
pub struct Batch<A: Actor, M> {
    waiting: Rc<RefCell<Vec<M>>>,
    reader: WayBack<A>,
}

impl<A: Actor, M> Clone for Batch<A, M> {
    fn clone(&self) -> Self {
        Self {
            waiting: Rc::clone(&self.waiting),
            reader: self.reader.clone(),
        }
    }
}

impl<A: Actor, M: 'static> Batch<A, M> {
    /// A batch that `reader` takes when it is told [`Batched`].
    pub fn new(reader: WayBack<A>) -> Self {
        Self {
            waiting: Rc::default(),
            reader,
        }
    }

    /// Tells `message`.
    pub fn put(&self, message: M)
    where
        A: Handler<Batched<M>>,
        A::Context: ToEnvelope<A, Batched<M>>,
    {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push(message);
        if waiting.len() == 1 {
            self.reader.send(Batched(PhantomData));
        }
    }

    /// Everything that waits, in order; `spent` is the room for what comes next.
    pub fn swap(&self, spent: Vec<M>) -> Vec<M> {
        self.waiting.replace(spent)
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{AsyncContext, Context};

    /// Writes down what it is told.
    struct Reader {
        batch: Batch<Self, u32>,
        told: Rc<RefCell<Vec<String>>>,
    }

    impl Actor for Reader {
        type Context = Context<Self>;
    }

    impl Handler<Batched<u32>> for Reader {
        type Result = ();

        fn handle(&mut self, _: Batched<u32>, _: &mut Self::Context) {
            let batch = self.batch.swap(Vec::new());
            self.told.borrow_mut().push(format!("{batch:?}"));
        }
    }

    struct Other;

    impl Message for Other {
        type Result = ();
    }

    impl Handler<Other> for Reader {
        type Result = ();

        fn handle(&mut self, _: Other, _: &mut Self::Context) {
            self.told.borrow_mut().push("other".to_owned());
        }
    }

    #[actix::test]
    async fn what_is_put_comes_together_and_before_what_is_sent_later() {
        let told: Rc<RefCell<Vec<String>>> = Rc::default();
        let writing = Rc::clone(&told);
        let mut batch = None;
        let address = Reader::create(|context| {
            let own = Batch::new(WayBack::new(context.address()));
            batch = Some(own.clone());
            Reader {
                batch: own,
                told: writing,
            }
        });
        let (batch, way_back) = (batch.unwrap(), WayBack::new(address));
        way_back.send(Other);
        batch.put(1);
        batch.put(2);
        way_back.send(Other);
        batch.put(3);
        while told.borrow().len() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*told.borrow(), ["other", "[1, 2, 3]", "other"]);
        batch.put(4);
        while told.borrow().len() < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(told.borrow().last().unwrap(), "[4]");
        assert!(batch.is_empty());
    }
}
