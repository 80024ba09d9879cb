# SPDX-License-Identifier: MIT
# Objects, strings that grow, hashes, big numbers, the garbage collector, threads and a forked child.
require 'digest'
require 'json'
require 'set'

File.write('maps', File.read('/proc/self/maps'))

def work(seed)
  table = Hash.new { |h, k| h[k] = [] }
  120_000.times do |i|
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    table[seed % 997] << ('r' * (seed % 60) + seed.to_s)
    table.delete(i % 991) if (i % 40).zero?
  end
  Digest::SHA256.hexdigest(JSON.generate(table.sort.to_a))
end

puts work(1)
text = +''
400_000.times { |i| text << "#{i * 3};" }
puts text.length, Digest::SHA256.hexdigest(text)
puts text.scan(/\d*77\d*/).tally.length, text.gsub(/(\d)(\d);/) { "#{$2}#{$1}." }.sum
puts (1..2500).inject(:*).to_s.length
puts Set.new((1..200_000).map { |i| (i * 7919) % 65_537 }).length
GC.start
GC.compact if GC.respond_to?(:compact)
puts [3, 4, 5].map { |n| Thread.new { work(n) } }.map(&:value)
reader, writer = IO.pipe
fork { writer.puts work(6) }
writer.close
puts reader.read
Process.wait
puts ObjectSpace.each_object(Class).count > 100
