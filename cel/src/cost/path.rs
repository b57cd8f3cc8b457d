//! Where in the schema an expression's value stands, as cel-go's estimator tracks it.
//!
//! cel-go appends to Go slices that share memory: a name appended to a path can overwrite the last name of another
//! path that was appended to the same one before. Sizes that are looked up later are then those of another field.
//! Estimates decide which definitions are refused, so paths here share memory in the same way.

use std::cell::RefCell;
use std::rc::Rc;

/// A path of names, which may share its memory with others.
#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    memory: Rc<Memory>,
    length: usize,
}

#[derive(Debug, Default)]
struct Memory {
    names: RefCell<Vec<Rc<str>>>,
    capacity: usize,
}

impl Path {
    /// The path of one name.
    pub(super) fn of(name: &str) -> Self {
        Self { memory: Rc::new(Memory { names: RefCell::new(vec![Rc::from(name)]), capacity: 1 }), length: 1 }
    }

    /// The path with another name; Go's `append`, which doubles the capacity of short slices.
    pub(super) fn append(&self, name: &str) -> Self {
        let name = Rc::from(name);
        let length = self.length + 1;
        if length <= self.memory.capacity {
            let mut names = self.memory.names.borrow_mut();
            match names.get_mut(self.length) {
                Some(slot) => *slot = name,
                None => names.push(name),
            }
            return Self { memory: Rc::clone(&self.memory), length };
        }
        let mut names = self.names();
        names.push(name);
        let capacity = length.max(self.memory.capacity * 2);
        Self { memory: Rc::new(Memory { names: RefCell::new(names), capacity }), length }
    }

    /// A path of its own memory, with another name.
    pub(super) fn copied_with(&self, name: &str) -> Self {
        let mut names = self.names();
        names.push(Rc::from(name));
        Self { length: names.len(), memory: Rc::new(Memory { capacity: names.len(), names: RefCell::new(names) }) }
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The names.
    pub(super) fn names(&self) -> Vec<Rc<str>> {
        self.memory.names.borrow().iter().take(self.length).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        path.names().join(".")
    }

    #[test]
    fn paths_share_memory_as_slices_do() {
        let three = Path::of("self").append("list").append("@items");
        let a = three.append("a");
        let b = three.append("b");
        assert_eq!((text(&a), text(&b)), ("self.list.@items.b".to_owned(), "self.list.@items.b".to_owned()));
        let five = b.append("c");
        assert_eq!(text(&three.append("d")), "self.list.@items.d");
        assert_eq!(text(&five), "self.list.@items.b.c");
    }
}
