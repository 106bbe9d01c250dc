//! Tags on resources: user tags are free text, system tags are of kinds that the node knows.

mod check;
mod known;

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, TagUuid, VmUuid},
};

pub use known::*;

use crate::{
    clock::Timestamp,
    failure::Failure,
    hosts::{CapacityRules, recount_host},
    resource::{self, Declaration, Host, SystemTag, UserTag, VmInstance},
    settings::Values,
    store::{SqlValue, Tx},
    vm::settle_static_ips,
};

/// Tags are shown shortened in errors: one may hold user data of many kilobytes.
const SHOWN_CHARACTERS: usize = 100;

/// The type of a resource as tags write it.
pub fn resource_type(declaration: &Declaration) -> String {
    format!("{}VO", declaration.name)
}

/// The kind of a system tag, if it is one that a resource of this type can have.
pub fn kind_of(resource: &str, tag: &str) -> Result<&'static KnownTag, Failure> {
    if let Some(known) = KNOWN.iter().find(|known| known.resource == resource && known.is(tag)) {
        return Ok(known);
    }
    let forms: Vec<&str> = KNOWN
        .iter()
        .filter(|known| known.resource == resource && is_given_by_callers(known))
        .map(|known| known.form)
        .collect();
    let remedy = if forms.is_empty() {
        format!("a {resource} takes no system tags: use a user tag")
    } else {
        format!("the system tags of a {resource} are {}", forms.join(", "))
    };
    Err(Failure::argument("systemTags", shorten(tag), remedy))
}

fn is_given_by_callers(known: &KnownTag) -> bool {
    matches!(known.giver, Giver::Anyone | Giver::Operator | Giver::Maker)
}

/// Whether a caller may give the tag to a resource that is being made, or, with `later`, that is there already.
fn admit(tx: &Tx<'_>, resource: &str, tag: &str, later: bool) -> Result<&'static KnownTag, Failure> {
    let known = kind_of(resource, tag)?;
    let refuse = |remedy: &str| Err(Failure::argument("systemTags", shorten(tag), remedy));
    match known.giver {
        Giver::Maker if later => return refuse("it can be given only with the call that makes the resource"),
        Giver::Node => return refuse("the node itself gives it"),
        Giver::Nobody => {
            let details = format!("the system tag '{}' asks for what this node does not have", shorten(known.form));
            return Err(Failure::new(ErrorKind::NotSupported, details));
        }
        Giver::Operator => require_operator(tx, known)?,
        Giver::Anyone | Giver::Maker => {}
    }
    (known.check)(tag)?;
    Ok(known)
}

fn require_operator(tx: &Tx<'_>, known: &KnownTag) -> Result<(), Failure> {
    if tx.is_operators()? {
        return Ok(());
    }
    let details = format!("the system tag '{}' is for the operator to give, to change and to take away", known.form);
    Err(Failure::new(ErrorKind::PermissionDenied, details))
}

/// Whether the call that makes a resource may give it these tags.
pub fn admit_new(tx: &Tx<'_>, declaration: &Declaration, system_tags: &[String]) -> Result<(), Failure> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for tag in system_tags {
        let known = admit(tx, declaration.name, tag, false)?;
        if kinds.contains(&known.form) && !known.several {
            let remedy = format!("a {} takes one {}", declaration.name, known.form);
            return Err(Failure::argument("systemTags", shorten(tag), remedy));
        }
        kinds.push(known.form);
    }
    Ok(())
}

/// Puts the tags of the call that makes a resource on it.
pub fn put(
    tx: &Tx<'_>,
    declaration: &Declaration,
    resource_uuid: &str,
    system_tags: &[String],
    user_tags: &[String],
) -> Result<(), Failure> {
    admit_new(tx, declaration, system_tags)?;
    for tag in system_tags {
        insert_system(tx, declaration, resource_uuid, tag, false)?;
    }
    for tag in user_tags {
        insert_user(tx, declaration, resource_uuid, tag)?;
    }
    Ok(())
}

fn insert_system(
    tx: &Tx<'_>,
    declaration: &Declaration,
    resource_uuid: &str,
    tag: &str,
    inherent: bool,
) -> Result<TagUuid, Failure> {
    let now = Timestamp::now();
    let uuid = TagUuid::random();
    tx.insert(&SystemTag {
        uuid,
        resource_uuid: resource_uuid.to_owned(),
        resource_type: resource_type(declaration),
        tag: tag.to_owned(),
        kind: "System".to_owned(),
        inherent,
        create_date: now,
        last_op_date: now,
    })?;
    Ok(uuid)
}

fn insert_user(tx: &Tx<'_>, declaration: &Declaration, resource_uuid: &str, tag: &str) -> Result<TagUuid, Failure> {
    let now = Timestamp::now();
    let uuid = TagUuid::random();
    tx.insert(&UserTag {
        uuid,
        resource_uuid: resource_uuid.to_owned(),
        resource_type: resource_type(declaration),
        tag: tag.to_owned(),
        kind: "User".to_owned(),
        create_date: now,
        last_op_date: now,
    })?;
    Ok(uuid)
}

/// Makes `wanted` the only tags of the node's own that begin with `prefix` on a resource. Answers those that are new.
pub fn set_inherent(
    tx: &Tx<'_>,
    declaration: &Declaration,
    resource_uuid: &str,
    prefix: &str,
    wanted: &[String],
) -> Result<Vec<String>, Failure> {
    let there = tx.find::<SystemTag>(&[("resource_uuid", resource_uuid.to_owned().to_sql())])?;
    let there: Vec<SystemTag> = there.into_iter().filter(|tag| tag.inherent && tag.tag.starts_with(prefix)).collect();
    for tag in there.iter().filter(|tag| !wanted.contains(&tag.tag)) {
        tx.delete::<SystemTag>(tag.uuid)?;
    }
    let new: Vec<String> =
        wanted.iter().filter(|wanted| !there.iter().any(|tag| tag.tag == **wanted)).cloned().collect();
    for tag in &new {
        insert_system(tx, declaration, resource_uuid, tag, true)?;
    }
    Ok(new)
}

/// The resource that a tag is to stand on: its declaration and its id as it is written.
fn target(tx: &Tx<'_>, resource_type: &str, resource_uuid: &str) -> Result<(&'static Declaration, String), Failure> {
    let name = resource_type.strip_suffix("VO").unwrap_or(resource_type);
    let declaration = resource::by_name(name).filter(|found| is_taggable(found)).ok_or_else(|| {
        let types: Vec<String> =
            resource::ALL.iter().filter(|found| is_taggable(found)).map(|found| self::resource_type(found)).collect();
        Failure::argument("resourceType", resource_type, format!("the types are {}", types.join(", ")))
    })?;
    let uuid = resource_uuid.to_lowercase().replace('-', "");
    if !tx.exists(declaration, &uuid)? {
        return Err(Failure::not_found(declaration.name, "resourceUuid", resource_uuid));
    }
    Ok((declaration, uuid))
}

fn is_taggable(declaration: &Declaration) -> bool {
    let has_uuid = declaration.key().name == "uuid" && !declaration.class.is_empty();
    has_uuid && !["SystemTag", "UserTag", "Session"].contains(&declaration.name)
}

/// Gives a resource a system tag.
pub fn create_system(
    tx: &Tx<'_>,
    settings: &Values,
    resource_type: &str,
    resource_uuid: &str,
    tag: &str,
) -> Result<TagUuid, Failure> {
    let (declaration, uuid) = target(tx, resource_type, resource_uuid)?;
    let known = admit(tx, declaration.name, tag, true)?;
    refuse_second(tx, known, &uuid, tag, None)?;
    let made = insert_system(tx, declaration, &uuid, tag, false)?;
    take_effect(tx, settings, known, &uuid)?;
    Ok(made)
}

/// Gives a resource a user tag.
pub fn create_user(tx: &Tx<'_>, resource_type: &str, resource_uuid: &str, tag: &str) -> Result<TagUuid, Failure> {
    let (declaration, uuid) = target(tx, resource_type, resource_uuid)?;
    if tag.trim().is_empty() {
        return Err(Failure::argument("tag", tag, "at least one visible character is needed"));
    }
    let same = [("resource_uuid", uuid.to_sql()), ("tag", tag.to_owned().to_sql())];
    if let Some(there) = tx.find::<UserTag>(&same)?.pop() {
        let details = format!("the resource has the user tag '{}' already ({})", shorten(tag), there.uuid);
        return Err(Failure::new(ErrorKind::Duplicate, details));
    }
    insert_user(tx, declaration, &uuid, tag)
}

/// Changes what varies in a system tag.
pub fn update_system(tx: &Tx<'_>, settings: &Values, uuid: TagUuid, tag: &str) -> Result<(), Failure> {
    let Some(before) = tx.get::<SystemTag>(uuid)? else { return Err(Failure::not_found("SystemTag", "uuid", uuid)) };
    let resource = before.resource_type.trim_end_matches("VO").to_owned();
    let known = changeable(tx, &before)?;
    if !known.is(tag) {
        let remedy = format!("the tag is a {} and stays one: delete it to have another", known.form);
        return Err(Failure::argument("tag", shorten(tag), remedy));
    }
    admit(tx, &resource, tag, true)?;
    refuse_second(tx, known, &before.resource_uuid, tag, Some(uuid))?;
    let resource_uuid = before.resource_uuid.clone();
    tx.save(&SystemTag { tag: tag.to_owned(), last_op_date: Timestamp::now(), ..before })?;
    take_effect(tx, settings, known, &resource_uuid)
}

/// Takes a system or user tag away.
pub fn delete(tx: &Tx<'_>, settings: &Values, uuid: TagUuid) -> Result<(), Failure> {
    if let Some(tag) = tx.get::<SystemTag>(uuid)? {
        let known = changeable(tx, &tag)?;
        tx.delete::<SystemTag>(uuid)?;
        return take_effect(tx, settings, known, &tag.resource_uuid);
    }
    if tx.get::<UserTag>(uuid)?.is_none() {
        let details = format!("uuid '{uuid}' names no tag: use QuerySystemTag and QueryUserTag to see which exist");
        return Err(Failure::new(ErrorKind::ResourceNotFound, details));
    }
    Ok(tx.delete::<UserTag>(uuid)?)
}

/// The kind of a stored tag that the caller may change.
fn changeable(tx: &Tx<'_>, tag: &SystemTag) -> Result<&'static KnownTag, Failure> {
    let known = kind_of(tag.resource_type.trim_end_matches("VO"), &tag.tag)?;
    match known.giver {
        Giver::Anyone if !tag.inherent => {}
        Giver::Operator if !tag.inherent => require_operator(tx, known)?,
        _ => {
            let details = format!("the system tag '{}' stays as it is for the life of its resource", shorten(&tag.tag));
            return Err(Failure::new(ErrorKind::Refused, details));
        }
    }
    Ok(known)
}

/// A resource has a tag once, and of most kinds one tag.
fn refuse_second(
    tx: &Tx<'_>,
    known: &KnownTag,
    resource_uuid: &str,
    tag: &str,
    except: Option<TagUuid>,
) -> Result<(), Failure> {
    for there in tx.find::<SystemTag>(&[("resource_uuid", resource_uuid.to_owned().to_sql())])? {
        if Some(there.uuid) != except && known.is(&there.tag) && (!known.several || there.tag == tag) {
            let details = format!(
                "the resource has the system tag '{}' already ({}): change that one with UpdateSystemTag",
                shorten(&there.tag),
                there.uuid
            );
            return Err(Failure::new(ErrorKind::Duplicate, details));
        }
    }
    Ok(())
}

fn take_effect(tx: &Tx<'_>, settings: &Values, known: &KnownTag, resource_uuid: &str) -> Result<(), Failure> {
    match known.effect {
        Effect::WhenNeeded => Ok(()),
        Effect::HostCapacity => {
            let column = match known.resource {
                "Zone" => "zone_uuid",
                "Cluster" => "cluster_uuid",
                _ => "uuid",
            };
            let hosts: Vec<HostUuid> = tx
                .find::<Host>(&[(column, resource_uuid.to_owned().to_sql())])?
                .into_iter()
                .map(|host| host.uuid)
                .collect();
            hosts.into_iter().try_for_each(|host| recount_host(tx, host, CapacityRules::from(settings)))
        }
        Effect::Address => {
            let vm: Option<VmUuid> = resource_uuid.parse().ok();
            let vm = vm.map(|uuid| tx.get::<VmInstance>(uuid)).transpose()?.flatten();
            vm.map_or(Ok(()), |vm| settle_static_ips(tx, &vm))
        }
    }
}

fn shorten(tag: &str) -> String {
    if tag.chars().count() <= SHOWN_CHARACTERS {
        tag.to_owned()
    } else {
        format!("{}…", tag.chars().take(SHOWN_CHARACTERS).collect::<String>())
    }
}

#[cfg(test)]
mod tests;
