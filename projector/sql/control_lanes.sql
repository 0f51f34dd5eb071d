SELECT source, seq, digest, epoch FROM memferry.control_lane WHERE topic = %s
