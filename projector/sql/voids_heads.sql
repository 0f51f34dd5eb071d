SELECT source, generation, partition, seq FROM memferry.lane WHERE projection = %s
