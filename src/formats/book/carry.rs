//! What one spelling has no place for, carried along in an entry's or a book's
//! extensions until it is spelled as before.

use crate::formats::fields::Object;

/// Where it is carried in `extensions`.
const OWN: &str = "dramatis";

/// Puts an object under a name of ours; an empty one is not carried.
pub(super) fn stow(extensions: &mut Object, name: &str, rest: &Object) {
    if rest.is_empty() {
        return;
    }
    let mut own = own(extensions);
    own.set_object(name, rest);
    extensions.set_object(OWN, &own);
}

/// Takes it out again.
pub(super) fn unstow(extensions: &mut Object, name: &str) -> Option<Object> {
    let mut own = own(extensions);
    let rest = own.object(name).ok().flatten()?;
    own.remove(name);
    if own.is_empty() {
        extensions.remove(OWN);
    } else {
        extensions.set_object(OWN, &own);
    }
    Some(rest)
}

/// Looks at it where it is.
pub(super) fn peek(extensions: &Object, name: &str) -> Option<Object> {
    own(extensions).object(name).ok().flatten()
}

/// What is carried where it is enough that something is.
pub(super) fn mark() -> Object {
    let mut mark = Object::new("");
    mark.set("is_meant", &true);
    mark
}

/// The extensions of an entry or a book; none are an empty object.
pub(super) fn extensions(object: &Object) -> Object {
    let empty = || Object::new(object.path_of("extensions"));
    object.object("extensions").ok().flatten().unwrap_or_else(empty)
}

fn own(extensions: &Object) -> Object {
    extensions.object(OWN).ok().flatten().unwrap_or_default()
}
