import Configuration
import Glibc
import LinuxIO
import LocalFiles

// Kernel devices, bus, lines, clock.

extension Doctor {
  func configurationFinding() -> DoctorFinding {
    let place = folder.mainFile
    if let first = reading.faults.first {
      let more = reading.faults.count == 1 ? "" : " (and \(reading.faults.count - 1) more)"
      return .fail(.configuration, "\(first)\(more)", remedy: "thermograph check names every mistake")
    }
    let named = NamedFiles(reading, secrets: device.secrets).otherFaults()
    if let first = named.first {
      let more = named.count == 1 ? "" : " (and \(named.count - 1) more)"
      return .fail(
        .configuration, "usable, but a file that it names is not: \(first)\(more)",
        remedy: "thermograph check --files names each of them")
    }
    let notices = reading.notices.map(\.description) + SiteRootNotice.ofDevice(settings)
    guard notices.isEmpty else {
      return .warn(
        .configuration, "usable; " + notices.joined(separator: "; "),
        remedy: "change each place that is named; until then it works")
    }
    let others = reading.files.count - 1
    let and = others > 0 ? " and \(others) other \(others == 1 ? "file" : "files")" : ""
    return .pass(.configuration, "\(place)\(and): usable")
  }

  /// Nodes, modes, groups; then what else may hold them.
  func devicesFinding() -> DoctorFinding {
    let paths: [String] = [settings.camera.bus, settings.reader.device]
    let missing = paths.filter { access($0, F_OK) != 0 }
    if !missing.isEmpty {
      var repairs: [String] = []
      if missing.contains(settings.camera.bus) {
        repairs.append("enable I2C in the boot configuration (see the board profile) and restart the board")
      }
      if missing.contains(settings.reader.device) {
        repairs.append("plug the reader in, or name its port in reader.device")
      }
      return .fail(
        .devices, missing.map { "\($0) does not exist" }.joined(separator: "; "),
        remedy: repairs.joined(separator: "; "))
    }
    let closed = paths.filter { access($0, R_OK | W_OK) != 0 }
    if !closed.isEmpty {
      return .fail(
        .devices, "this user may not open \(closed.joined(separator: " and "))",
        remedy: "run as root, or add the user to the groups i2c and dialout")
    }
    if let lacking = Self.groupsThatTheServiceLacks(), !lacking.isEmpty {
      return .fail(
        .devices, "the user thermograph is not in \(lacking.joined(separator: ", "))",
        remedy: "systemd-sysusers; then systemctl restart thermograph")
    }
    if let driver = kernelDriver() {
      return .fail(
        .devices, "the kernel's driver \(driver) holds the sensor",
        remedy: "remove its overlay from the boot configuration")
    }
    if let console = consoleOnTheReadersPort() {
      return .warn(
        .devices, "the login console is on \(console), the reader's port",
        remedy: "take console=\(console) out of the kernel's command line and disable serial-getty@\(console)")
    }
    return .pass(.devices, "\(settings.camera.bus) and \(settings.reader.device) are there and open")
  }

  /// nil when there is no such user: not installed as a service.
  private static func groupsThatTheServiceLacks() -> [String]? {
    guard let user = getpwnam("thermograph") else { return nil }
    let primary = user.pointee.pw_gid
    return ["i2c", "dialout", "gpio"].filter { name in
      // A board without the group rules access in another way.
      guard let group = getgrnam(name), group.pointee.gr_gid != primary, let members = group.pointee.gr_mem else {
        return false
      }
      var index = 0
      while let member = members[index] {
        if String(cString: member) == "thermograph" { return false }
        index += 1
      }
      return true
    }
  }

  /// `1` of `/dev/i2c-1`.
  private var busNumber: Int? { settings.camera.bus.split(separator: "-").last.flatMap { Int($0) } }

  /// What shows who answers on the bus; 0x33 is the address that sensors are sold with.
  var busScan: String {
    "i2cdetect -y \(busNumber ?? 1) must show 0x\(String(settings.camera.sensor.address, radix: 16)), and not UU"
  }

  private func kernelDriver() -> String? {
    guard let busNumber else { return nil }
    let address = String(settings.camera.sensor.address, radix: 16)
    let padded = String(repeating: "0", count: max(0, 4 - address.count)) + address
    let link = "/sys/bus/i2c/devices/\(busNumber)-\(padded)/driver"
    do throws(FileError) {
      return try Folder.target(ofLink: link).split(separator: "/").last.map(String.init)
    } catch {
      // No driver, or a kernel without that folder.
      return nil
    }
  }

  private func consoleOnTheReadersPort() -> String? {
    do throws(FileError) {
      let line = String(decoding: try BoundedFile.readStream("/proc/cmdline", maximumBytes: 8192), as: UTF8.self)
      return Self.console(inCommandLine: line, sharing: Self.resolved(settings.reader.device))
    } catch {
      return nil
    }
  }

  /// The console of `line` that is the port `device` (a real path).
  static func console(inCommandLine line: String, sharing device: String) -> String? {
    for word in line.split(whereSeparator: \.isWhitespace) where word.hasPrefix("console=") {
      let name = String(word.dropFirst(8).prefix { $0 != "," })
      if resolved("/dev/\(name)") == device { return name }
    }
    return nil
  }

  static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  // MARK: - Bus, lines, clock

  func busFinding() -> DoctorFinding {
    do {
      _ = try device.openBus()
    } catch {
      return .fail(
        .bus, "\(error)",
        remedy: "enable I2C in the boot configuration, and join the group i2c: thermograph doctor --part devices")
    }
    return busSpeedFinding("\(settings.camera.bus) opens")
  }

  /// - Parameter what: what is known of the bus besides its speed.
  func busSpeedFinding(_ what: String) -> DoctorFinding {
    let wanted = settings.camera.busSpeedKHz
    guard let hertz = busHertz() else {
      return .pass(.bus, "\(what); this kernel does not tell its speed (configured: \(wanted) kHz)")
    }
    let found = hertz / 1000
    guard found == wanted else {
      return .warn(
        .bus, "\(what), at \(found) kHz, but camera.bus_speed_khz says \(wanted)",
        remedy: "set dtparam=i2c_arm_baudrate=\(wanted * 1000) in the boot configuration, or bus_speed_khz = \(found)")
    }
    return .pass(.bus, "\(what), at \(found) kHz")
  }

  /// The device tree's word for the bus, big-endian.
  private func busHertz() -> Int? {
    guard let busNumber else { return nil }
    do throws(FileError) {
      let bytes = try BoundedFile.readStream(
        "/sys/bus/i2c/devices/i2c-\(busNumber)/of_node/clock-frequency", maximumBytes: 16)
      guard bytes.count == 4 else { return nil }
      return bytes.reduce(0) { $0 << 8 | Int($1) }
    } catch {
      return nil
    }
  }

  func linesFinding() -> DoctorFinding {
    let wiring = GPIOPins.Wiring(settings.pins)
    guard wiring != GPIOPins.Wiring() else { return Self.linesFinding(problems: nil) }
    do throws(SystemCallError) {
      return Self.linesFinding(problems: try GPIOPins(wiring).problems.map(\.description))
    } catch {
      return Self.linesFinding(problems: ["\(error)"])
    }
  }

  /// - Parameter problems: what kept lines from being opened; nil where none is configured.
  static func linesFinding(problems: [String]?) -> DoctorFinding {
    guard let problems else { return .skip(.lines, "no button, light or buzzer is configured") }
    return problems.isEmpty
      ? .pass(.lines, "every configured pin is available")
      : .fail(
        .lines, problems.joined(separator: "; "),
        remedy: "gpioinfo shows chips and lines; a Pi 5 has other chips than a Pi 4: device.board; and the group gpio")
  }

  func clockFinding() -> DoctorFinding {
    let now = time.now()
    // Before this program was written no clock is right.
    guard now.utcNanoseconds > 1_735_689_600 * 1_000_000_000 else {
      return .fail(.clock, "it says \(now.rfc3339)", remedy: "connect the network, or set it: timedatectl set-time ...")
    }
    switch time.synchronisationSource {
    case .none:
      return .warn(
        .clock, "\(now.rfc3339); the clock is not synchronised, and captures say so",
        remedy: "timedatectl timesync-status; without a network, timedatectl set-time ...")
    case .kernel: return .pass(.clock, "\(now.rfc3339), disciplined by the kernel")
    case .timesyncd: return .pass(.clock, "\(now.rfc3339), set by systemd-timesyncd since the start")
    }
  }
}
