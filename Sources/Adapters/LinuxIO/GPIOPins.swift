import CGPIO
import Glibc
import LocalFiles
import Panel
import Synchronization
import Threads

/// Where a panel line is: a chip by label or name (`pinctrl-rp1`, `gpiochip0`), a line by name or offset.
package struct GPIOPinAddress: Sendable, Hashable, CustomStringConvertible {
  package enum Line: Sendable, Hashable {
    case offset(UInt32)
    case named(String)
  }

  /// nil: the first chip that has a line of that name; an offset needs a chip.
  package var chip: String?
  package var line: Line
  /// The line is active when its level is low: a button to ground, a lamp to the supply.
  package var isActiveLow: Bool

  package init(chip: String?, line: Line, isActiveLow: Bool = false) {
    self.chip = chip
    self.line = line
    self.isActiveLow = isActiveLow
  }

  package var description: String {
    let place = chip.map { "\($0) " } ?? ""
    return switch line {
    case .offset(let offset): "\(place)line \(offset)"
    case .named(let name): "\(place)line \(name)"
    }
  }
}

/// The front panel on GPIO lines, through libgpiod. Lines that a board has not are left out of the wiring.
package final class GPIOPins: PanelPins {
  package struct Wiring: Sendable, Equatable {
    package var button: GPIOPinAddress?
    /// One light that shows every colour alike.
    package var light: GPIOPinAddress?
    package var red: GPIOPinAddress?
    package var green: GPIOPinAddress?
    package var blue: GPIOPinAddress?
    package var buzzer: GPIOPinAddress?

    package init(
      button: GPIOPinAddress? = nil, light: GPIOPinAddress? = nil, red: GPIOPinAddress? = nil,
      green: GPIOPinAddress? = nil,
      blue: GPIOPinAddress? = nil, buzzer: GPIOPinAddress? = nil
    ) {
      self.button = button
      self.light = light
      self.red = red
      self.green = green
      self.blue = blue
      self.buzzer = buzzer
    }
  }

  /// Lines that could not be had, each with its reason; the others work. Empty when all of the wiring is there.
  package let problems: [PanelError]

  private let button: GPIOPin?
  private let light: GPIOPin?
  private let red: GPIOPin?
  private let green: GPIOPin?
  private let blue: GPIOPin?
  private let buzzer: GPIOPin?
  private let wake: WakeSignal

  /// Requests the lines of `wiring`. A line that is not to be had is listed in `problems`: a dead lamp stops nobody.
  package init(_ wiring: Wiring) throws(SystemCallError) {
    var problems: [PanelError] = []
    func request(_ address: GPIOPinAddress?, isButton: Bool = false) -> GPIOPin? {
      guard let address else { return nil }
      do {
        return try GPIOPin(address, isButton: isButton)
      } catch {
        problems.append(error)
        return nil
      }
    }
    button = request(wiring.button, isButton: true)
    light = request(wiring.light)
    red = request(wiring.red)
    green = request(wiring.green)
    blue = request(wiring.blue)
    buzzer = request(wiring.buzzer)
    self.problems = problems
    wake = try WakeSignal()
  }

  package func show(_ outputs: PanelOutputs) throws(PanelError) {
    try light?.drive(outputs.red || outputs.green || outputs.blue)
    try red?.drive(outputs.red)
    try green?.drive(outputs.green)
    try blue?.drive(outputs.blue)
    try buzzer?.drive(outputs.buzzer)
  }

  package func waitForButton(timeoutMilliseconds: Int) throws(PanelError) -> Bool? {
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    var watched = (
      button: pollfd(fd: try button?.eventDescriptor() ?? -1, events: Int16(POLLIN), revents: 0),
      wake: pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)
    )
    do {
      try systemCall("poll", on: "panel button") {
        withUnsafeMutableBytes(of: &watched) { bytes in
          poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, deadline.remainingMilliseconds)
        }
      }
    } catch {
      throw PanelError(error.description)
    }
    if watched.wake.revents != 0 { wake.reset() }
    guard watched.button.revents != 0 else { return nil }
    return try button?.takeEvent()
  }

  package func interrupt() {
    wake.signal()
  }
}

/// A contact on a pin that counts how often it became active, for whoever looks now and then. The kernel keeps 16 changes.
package final class ContactPin: Sendable {
  private static let mostChanges = 64
  private let pin: GPIOPin

  package init(_ address: GPIOPinAddress) throws(PanelError) { pin = try GPIOPin(address, isButton: true) }

  /// Openings since the last look. Never waits.
  package func takeOpenings() throws(PanelError) -> Int {
    var openings = 0
    for _ in 0..<Self.mostChanges {
      var watched = pollfd(fd: try pin.eventDescriptor(), events: Int16(POLLIN), revents: 0)
      guard poll(&watched, 1, 0) > 0 else { break }
      if try pin.takeEvent() { openings += 1 }
    }
    return openings
  }
}

/// One requested line. libgpiod's calls on one line are made by one thread at a time: the panel's.
private final class GPIOPin: @unchecked Sendable {
  private let line: OpaquePointer
  private let address: GPIOPinAddress

  init(_ address: GPIOPinAddress, isButton: Bool) throws(PanelError) {
    self.address = address
    let (path, offset) = try Self.find(address)
    let activeLow: Int32 = address.isActiveLow ? 1 : 0
    // A button to ground needs a pull-up, one to the supply a pull-down.
    let requested =
      isButton
      ? cgpio_request_input(
        path, offset, "thermograph", activeLow, address.isActiveLow ? CGPIO_BIAS_PULL_UP : CGPIO_BIAS_PULL_DOWN)
      : cgpio_request_output(path, offset, "thermograph", activeLow)
    guard let requested else {
      throw PanelError("\(address): request failed: \(SystemCallError.text(of: errno)); gpioinfo shows who holds it")
    }
    line = requested
  }

  deinit {
    cgpio_release(line)
  }

  /// Chips are numbered from 0; the shim looks at no more either.
  private static let chipLimit = 64

  /// The device path of the line's chip, and the line's offset on it.
  private static func find(_ address: GPIOPinAddress) throws(PanelError) -> (path: String, offset: UInt32) {
    guard let chip = address.chip else {
      guard case .named(let name) = address.line else {
        throw PanelError("\(address): an offset needs a chip; set its label too")
      }
      for number in 0..<chipLimit {
        let path = "/dev/gpiochip\(number)"
        let found = cgpio_find_line(path, name)
        if found >= 0 { return (path, UInt32(found)) }
      }
      throw PanelError(
        "\(address): no GPIO chip has a line of that name; gpioinfo lists them, and the service's user needs the "
          + "group gpio")
    }
    var buffer = [CChar](repeating: 0, count: 64)
    guard cgpio_find_chip(chip, &buffer, buffer.count) == 0 else {
      throw PanelError(
        "\(address): no GPIO chip of that label or name (\(SystemCallError.text(of: errno))); "
          + "gpiodetect lists the chips, and the service's user needs the group gpio")
    }
    let path = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    switch address.line {
    case .offset(let number): return (path, number)
    case .named(let name):
      let found = cgpio_find_line(path, name)
      guard found >= 0 else { throw PanelError("\(address): the chip has no line of that name; gpioinfo lists them") }
      return (path, UInt32(found))
    }
  }

  func drive(_ isActive: Bool) throws(PanelError) {
    guard cgpio_set(line, isActive ? 1 : 0) == 0 else { throw failure("set") }
  }

  func eventDescriptor() throws(PanelError) -> Int32 {
    let number = cgpio_event_descriptor(line)
    guard number >= 0 else { throw failure("event descriptor") }
    return number
  }

  func takeEvent() throws(PanelError) -> Bool {
    let level = cgpio_take_event(line)
    guard level >= 0 else { throw failure("event") }
    return level == 1
  }

  private func failure(_ call: String) -> PanelError {
    PanelError("\(address): \(call) failed: \(SystemCallError.text(of: errno))")
  }
}
