// Echo and rooms on ws: a set of sockets for each room, and a loop over it. One
// process. `node ws.mjs PORT`
import http from 'node:http';
import { Sender, WebSocket, WebSocketServer } from 'ws';

const BACKLOG = 4096;

const port = Number(process.argv[2]);
const rooms = new Map();
const endpoint = new WebSocketServer({ noServer: true, perMessageDeflate: false });

function echo(socket) {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

// One frame for the whole room. `send` would make a header for each member and
// write it apart from the payload; Socket.IO goes around it in the same way.
function publish(room, data, isBinary) {
  const opcode = isBinary ? 2 : 1;
  const options = { fin: true, mask: false, opcode, readOnly: true, rsv1: false };
  const frame = [Buffer.concat(Sender.frame(data, options))];
  for (const member of room) {
    if (member.readyState === WebSocket.OPEN) member._sender.sendFrame(frame);
  }
}

function enter(socket, name) {
  let room = rooms.get(name);
  if (room === undefined) {
    room = new Set();
    rooms.set(name, room);
  }
  room.add(socket);
  socket.on('message', (data, isBinary) => publish(room, data, isBinary));
  socket.on('close', () => {
    room.delete(socket);
    if (room.size === 0) rooms.delete(name);
  });
}

const server = http.createServer((_request, response) => response.writeHead(404).end());
server.on('upgrade', (request, socket, head) => {
  const room = /^\/room\/([^/?]+)$/.exec(request.url);
  if (room === null && request.url !== '/echo') {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  endpoint.handleUpgrade(request, socket, head, (open) => {
    // A peer that is gone closes its socket, too; there is nothing else to do.
    open.on('error', () => {});
    if (room === null) echo(open);
    else enter(open, room[1]);
  });
});
server.listen(port, '127.0.0.1', BACKLOG);
