//! Who is alive among the routers, and what happens to what a dead one had taken.
//!
//! The one rule: a router that has given no sign of life for [`ALIVE_FOR`] is dead; what it had in
//! flight goes back to the head of `karton.tasks`, in one script, so that two finders do it once.

use redis::Pipeline;

use crate::{
    backend::{Connection, keys},
    error::Error,
};

/// Seconds. Longer than any one step of a router that is alive.
const ALIVE_FOR: u64 = 30;

const TAKE_OVER: &str = r"
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local uids = redis.call('LRANGE', KEYS[2], 0, -1)
for i = #uids, 1, -1 do redis.call('LPUSH', KEYS[3], uids[i]) end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[4], ARGV[1])
return #uids
";

pub(super) async fn sign_of_life(connection: &Connection, id: &str) -> Result<(), Error> {
    let mut pipeline = redis::pipe();
    add_sign_of_life(&mut pipeline, id);
    connection.run(&pipeline).await
}

pub(super) fn add_sign_of_life(pipeline: &mut Pipeline, id: &str) {
    pipeline.sadd(keys::ROUTERS, id).ignore().set_ex(keys::router(id), 1, ALIVE_FOR).ignore();
}

/// Puts back what dead routers had in flight.
pub(super) async fn take_over(connection: &Connection, own: &str) -> Result<(), Error> {
    let (routers,): (Vec<String>,) = connection.run(redis::pipe().smembers(keys::ROUTERS)).await?;
    for id in routers.iter().filter(|id| *id != own) {
        let count = requeue(connection, id).await?;
        if count > 0 {
            tracing::warn!(router = id, "took over {count} tasks of a router that is gone");
        }
    }
    Ok(())
}

/// The clean end of a router: nothing of it stays behind.
pub(super) async fn leave(connection: &Connection, id: &str) -> Result<(), Error> {
    connection.run::<()>(redis::pipe().del(keys::router(id)).ignore()).await?;
    requeue(connection, id).await?;
    Ok(())
}

async fn requeue(connection: &Connection, id: &str) -> Result<usize, Error> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(TAKE_OVER).arg(4);
    pipeline.arg(keys::router(id)).arg(keys::in_flight(id)).arg(keys::TASKS).arg(keys::ROUTERS).arg(id);
    let (count,): (usize,) = connection.run(&pipeline).await?;
    Ok(count)
}
