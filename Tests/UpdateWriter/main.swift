// Takes updates through their whole life, one after another, for tests that kill it or cut its power at any moment:
//
//     UpdateWriter STATE-DIRECTORY LAST-VERSION
//
// It goes on where the record on disk stands, and says "at N" after each step, N being the record's note number and phase.

import DriverSupport
import Glibc
import Remote
import Storage

let arguments = CommandLine.arguments
guard arguments.count == 3, let last = Int64(arguments[2]) else {
  say("usage: UpdateWriter STATE-DIRECTORY LAST-VERSION")
  exit(64)
}
let store = UpdateStore(stateDirectory: arguments[1])
do {
  while true {
    let book = try store.read()
    guard let event = UpdateLife.next(book, last: last) else { break }
    switch event {
    case .staged(let unit, _, _): try store.stage(unit, UpdateLife.bytes(of: unit.version))
    default: try store.apply(event)
    }
    say("at \(UpdateLife.step(try store.read()))")
  }
  say("done")
} catch {
  say("failed \(error)")
  exit(70)
}
