# shellcheck shell=bash disable=SC2154,SC2034 # the driver's variables
# SPDX-License-Identifier: MIT
# java: sockets, pipes and children, with -Xcheck:jni (each line of its output is a result).
programs='java'

have() {
	needs java || return
	java -version >/dev/null 2>&1 || {
		echo 'java does not run here'
		return 1
	}
}

prepare() { :; }

run() {
	cat >Smoke.java <<-'END'
		import java.io.*;
		import java.net.*;
		import java.nio.ByteBuffer;
		import java.nio.channels.*;
		public class Smoke {
			static void say(String name, Object value) { System.out.println(name + " " + String.valueOf(value).replace(' ', '_')); }
			static void broken(String name, OutputStream out) {
				try { for (int i = 0; i < 200; i++) { out.write(new byte[1000]); out.flush(); Thread.sleep(5); } say(name, "no"); }
				catch (Exception e) { say(name, e.getClass().getSimpleName()); }
			}
			public static void main(String[] a) throws Exception {
				var server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
				for (int i = 0; i < 3; i++) {
					var client = new Socket(server.getInetAddress(), server.getLocalPort());
					var peer = server.accept();
					client.getOutputStream().write(65 + i);
					say("echo" + i, peer.getInputStream().read());
					if (i == 1) peer.setSoLinger(true, 0);
					peer.close();
					broken("socket" + i, client.getOutputStream());
					client.close();
				}
				var channel = ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
				var one = SocketChannel.open(channel.getLocalAddress());
				var two = channel.accept();
				say("nio", one.write(ByteBuffer.wrap(new byte[100])) + two.read(ByteBuffer.allocate(200)));
				two.close();
				broken("channel", Channels.newOutputStream(one));
				var pipe = Pipe.open();
				pipe.source().close();
				broken("pipe", Channels.newOutputStream(pipe.sink()));
				var child = new ProcessBuilder("cat").start();
				child.getOutputStream().write("to cat".getBytes());
				child.getOutputStream().close();
				say("child", new String(child.getInputStream().readAllBytes()) + child.waitFor());
				child = new ProcessBuilder("true").start();
				say("true", child.waitFor());
				broken("stdin", child.getOutputStream());
				say("yes", new ProcessBuilder("sh", "-c", "yes | head -1; exit 4").redirectErrorStream(true).start().waitFor());
				try { new Socket(InetAddress.getLoopbackAddress(), 1); } catch (IOException e) { say("refused", e.getClass().getSimpleName()); }
			}
		}
	END
	"${under[@]}" timeout 100 java -Xcheck:jni Smoke.java >out 2>err
	echo "exit $?"
	cat out
	echo "warnings $(grep -c WARNING err):$(grep -c WARNING out)"
}
