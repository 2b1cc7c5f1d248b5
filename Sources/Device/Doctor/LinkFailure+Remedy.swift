import Forwarding

extension LinkFailure {
  /// What a technician does about it, for `doctor`.
  ///
  /// - Parameter authority: the file of the authorities that are trusted; nil for the system's.
  func remedy(host: String, port: Int, authority: String?) -> String {
    switch kind {
    case .nameResolution:
      return "check the spelling of broker.host and the name server: resolvectl query \(host)"
    case .unreachable, .timeout, .closedByPeer:
      return "is the broker running, and is there a firewall in between? try: nc -vz \(host) \(port)"
    case .tls:
      let trust = authority.map { " -CAfile \($0)" } ?? ""
      return "look at the broker's certificate and this clock: openssl s_client -connect \(host):\(port)\(trust)"
    case .refused:
      return "the broker does not know this device: compare device.id, certificate and broker.user_name with its list"
    case .busy, .brokerDisconnect: return "the broker's log says more; try again later"
    case .clock: return "set the clock: thermograph doctor --part clock"
    case .sessionTaken: return "another device uses the same device.id; give each its own"
    case .protocolError: return "does an MQTT broker listen at \(host):\(port), and speak broker.protocol_version?"
    case .requested: return "check device.id and device.site"
    }
  }
}
