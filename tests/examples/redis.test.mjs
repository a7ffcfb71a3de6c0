// SPDX-License-Identifier: MIT
// A test suite that cuts its database in the middle of a transaction. REDIS is its port.
//
//     pipeguard run --control /tmp/page -- node redis.test.mjs
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import net from 'node:net';
import { beforeEach, afterEach, test } from 'node:test';

const port = Number(process.env.REDIS);

// pipeguard ctl, for the page that this very process runs with.
function ctl(...words) {
	return execFileSync(process.env.PIPEGUARD ?? 'pipeguard', ['ctl', process.env.PIPEGUARD_CONTROL, ...words]).toString().trim();
}

// One connection; its answers as lines.
class Client {
	constructor() {
		this.socket = net.connect(port, '127.0.0.1');
		this.text = '';
		this.socket.setEncoding('latin1').on('data', (data) => { this.text += data; this.wake?.(); });
		this.socket.on('error', (error) => { this.error = error; this.wake?.(); });
		this.socket.on('close', () => { this.error ??= new Error('closed'); this.wake?.(); });
	}

	async ask(lines, answers) {
		this.text = '';
		this.socket.write(lines.map((line) => line + '\r\n').join(''));
		while (this.text.split('\r\n').length <= answers) {
			if (this.error) throw this.error;
			await new Promise((resolve) => { this.wake = resolve; });
		}
		return this.text.split('\r\n').slice(0, answers);
	}

	close() { this.socket.destroy(); }
}

// What is tested: it moves money from one key to another, all or nothing.
async function move(client, amount) {
	await client.ask(['MULTI', `DECRBY c ${amount}`, `INCRBY d ${amount}`], 3);
	return client.ask(['EXEC'], 3);
}

async function moveForSure(amount) {
	for (let left = 1; ; left--) {
		const client = new Client();
		try {
			return await move(client, amount);
		} catch (error) {
			if (!left) throw error;
		} finally {
			client.close();
		}
	}
}

async function balances() {
	const client = new Client();
	const answers = await client.ask(['GET c', 'GET d'], 4);
	client.close();
	return [Number(answers[1]), Number(answers[3])];
}

beforeEach(async () => {
	ctl('clear');
	const client = new Client();
	await client.ask(['SET c 100', 'SET d 0'], 2);
	client.close();
});
afterEach(() => { ctl('clear'); });

test('a cut before EXEC changes nothing', async () => {
	const client = new Client();
	await client.ask(['PING'], 1);
	ctl('rules', `cut=%out:port=${port}:when=2:reset`);
	await assert.rejects(move(client, 30));
	assert.equal(ctl('fired', 'cut'), '1');
	client.close();
	ctl('clear');
	assert.deepEqual(await balances(), [100, 0]);
});

test('a move is tried again', async () => {
	ctl('rules', `cut=%out:port=${port}:when=2:reset`);
	await moveForSure(30);
	assert.equal(ctl('fired', 'cut'), '1');
	assert.deepEqual(await balances(), [70, 30]);
});
